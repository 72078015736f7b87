"""Reads `model.safetensors` as float32.

Knows the file format and its float types; `tensors` knows which tensors a model needs. A tensor is
read when it is accessed, so that a converter holds one copy of the weights.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import ml_dtypes  # noqa: F401  # numpy then knows bfloat16, by the name that safetensors asks for
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from worker.models.bundle import BundleError

Floats = NDArray[np.float32]

_FLOAT_TYPES = ("F32", "F16", "BF16")
"""All are exact in float32."""


class SafetensorsFile(Mapping[str, Floats]):
    """The tensors of a file by name. A context manager."""

    def __init__(self, path: Path) -> None:
        """Raises `BundleError` if this is not a safetensors file, `OSError`."""
        self._path = path
        try:
            # safetensors ships no types.
            self._file = cast(Any, safe_open(path, framework="numpy"))
        except SafetensorError as error:
            raise BundleError(f"{path}: not a safetensors file: {error}") from None
        self._names = sorted(self._file.keys())

    def __enter__(self) -> "SafetensorsFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __getitem__(self, name: str) -> Floats:
        """Raises `BundleError` unless the tensor holds floats of 16 or 32 bits."""
        if name not in self._names:
            raise KeyError(name)
        kind = self._file.get_slice(name).get_dtype()
        if kind not in _FLOAT_TYPES:
            raise BundleError(
                f"{self._path}: {name} is {kind}; only {', '.join(_FLOAT_TYPES)} are converted"
            )
        tensor: NDArray[Any] = self._file.get_tensor(name)
        return tensor.astype(np.float32, copy=False)
