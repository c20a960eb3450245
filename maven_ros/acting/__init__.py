"""From states to what a robot can act on: smoothed states, a personal baseline, events."""
