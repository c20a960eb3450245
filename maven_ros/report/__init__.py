"""What is looked at: a benchmark's outcome, its figures and its page."""
