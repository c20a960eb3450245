"""MAVEN, the network: encoders, six cross-modal pathways, refinement, polar head."""
