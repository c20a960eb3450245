"""Transports: the one way messages come in and go out."""
