"""The recipe of the weights that ship: its corpora, its stages, its card."""
