"""Training: of the shipped model on public corpora, and of your own on recorded people."""
