"""The report of a benchmark: its outcome, figures and HTML page."""
