"""How good it was, seen and scored: pictures of recorded states."""
