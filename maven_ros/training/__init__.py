"""Recipes that make what the package ships, from public data, from a seed."""
