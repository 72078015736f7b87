"""Compares the worker with Hugging Face's question-answering pipeline, torch and tokenizers."""
