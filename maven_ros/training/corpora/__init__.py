"""The corpora, one per module."""
