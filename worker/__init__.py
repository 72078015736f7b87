"""A question-answering worker for Kafka."""

from importlib.metadata import version

__version__ = version("qa-worker")
