"""Bags as graphs, in the recording's own time."""
