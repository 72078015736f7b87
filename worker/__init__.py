"""A question-answering worker for Kafka."""

import os
from importlib.metadata import version

__version__ = version("qa-worker")

# From 1.29 on, onnxruntime writes a device's id into the user's home and sends what it knows of
# models and sessions to its makers, as soon as it is imported. Whoever wants that says so with 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
