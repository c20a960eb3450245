"""A bag again, in its own time: the same states every time."""
