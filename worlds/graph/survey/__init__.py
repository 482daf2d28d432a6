"""A graph as a whole: what it is about, what stands out, and what in it may be the same."""
