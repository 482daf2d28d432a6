"""Facts told with the time when they hold, taken back, superseded and merged, and what became of them."""
