"""Comparisons with Hugging Face's question-answering pipeline."""
