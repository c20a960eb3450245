"""Corpora, one a module: each says where its files are, and what people say of them."""
