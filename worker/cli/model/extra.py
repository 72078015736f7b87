"""Checks that the packages of the extra `models` are installed."""

import importlib.util

from worker.cli.errors import CommandError

_PACKAGES = ("huggingface_hub", "httpx2", "ml_dtypes", "onnx", "safetensors")
"""Building bundles needs them; running a model does not."""


def require_models_extra() -> None:
    """Raise `CommandError` with the command that installs what is missing."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise CommandError(
            f'not installed: {", ".join(missing)}; run pip install "qa-worker[models]"'
        )
