"""What happens after the commit, by processes that take it in turns: news, timers, effects, webhooks."""
