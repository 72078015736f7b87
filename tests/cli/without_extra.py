"""`python -m tests.cli.without_extra`: `qa-worker` where the extra `models` is not installed."""

import sys

from worker.cli import main

if __name__ == "__main__":
    for name in ("huggingface_hub", "httpx2", "ml_dtypes", "onnx", "safetensors"):
        sys.modules[name] = None  # type: ignore[assignment]  # makes its import fail
    main()
