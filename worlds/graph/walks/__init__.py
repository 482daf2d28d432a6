"""What is near, what leads where, and what is around: in the database nearby, along an index in memory far away."""
