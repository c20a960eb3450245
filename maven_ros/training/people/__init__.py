"""Training on recorded people: features, clips, runs, predictions."""
