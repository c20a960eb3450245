"""From states to what can be acted on: smoothed states, a personal baseline, events."""
