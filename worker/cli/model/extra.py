"""Whether the packages are there that making bundles needs and reading does not."""

import importlib.util

from worker.models.bundle import BundleError

_PACKAGES = ("huggingface_hub", "onnx", "safetensors")


def require_models_extra() -> None:
    """Raises `BundleError` with the one command that installs what is missing."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise BundleError(
            f'this needs {", ".join(missing)}: pip install "qa-worker[models]" brings it'
        )
