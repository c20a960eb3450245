"""Puts this folder on the path, for the helpers in it that the folders below share."""
