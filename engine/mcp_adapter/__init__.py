"""MCP on both sides of 2026-07-28: actions as tools, resources, prompts, subscriptions; errors as the wire has them."""
