"""A question-answering worker for Kafka."""

import os
from importlib.metadata import version

__version__ = version("qa-worker")

# From 1.29 on, onnxruntime writes a device's id into the user's home and sends what it knows of
# models and sessions to Microsoft, as soon as it is imported. Set the variable to 0 to allow it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
