"""The recipe of the shipped weights: its stages, and the model card."""
