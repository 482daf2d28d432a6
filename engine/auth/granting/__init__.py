"""The authorization server: which clients there are, what people grant them, and the tokens that come of it."""
