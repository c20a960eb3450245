"""Cameras, microphones and media files, as publishers of topics."""
