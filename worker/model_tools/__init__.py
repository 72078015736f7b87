"""Makes model bundles: from the weights that people publish to what the worker reads."""
