"""The nine tools of the memory server and its resource, to the letter."""
