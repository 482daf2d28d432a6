"""The worlds that ship with Turnkeeper."""
