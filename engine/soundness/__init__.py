"""What can be said of a chart without running it: its faults, and the shortest way to each state."""
