"""Compare states with annotations by raters."""
