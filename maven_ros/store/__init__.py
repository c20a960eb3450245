"""Models on disk: fetches, lists, checks and describes them. The node never comes here."""
