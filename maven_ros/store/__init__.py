"""Models on disk: fetch, list, check and describe them. The node does not use this package."""
