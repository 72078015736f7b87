"""Reads how an embedding model pools token vectors, from the files of sentence-transformers.

Knows `modules.json` and `1_Pooling/config.json`. `worker.inference.embedding` does the pooling.
"""

from pathlib import Path
from typing import Literal

from worker.model_tools.json_files import read_json, read_json_object
from worker.models.bundle import BundleError
from worker.models.manifest import Pooling

MODULES = "modules.json"
POOLING = "1_Pooling/config.json"

Mode = Literal["mean", "cls"]

_MODES: dict[str, Mode] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
}
_PREFIX = "pooling_mode_"
_NORMALIZE = ".Normalize"
"""Suffix of the type of the module that scales vectors to length 1."""


def find_pooling(directory: Path, mode: Mode | None, normalize: bool | None) -> Pooling | None:
    """The pooling of the arguments, completed from the directory's files.

    `None` if neither says anything. Raises `BundleError` for a pooling that the worker lacks.
    """
    if mode is None and (directory / POOLING).is_file():
        mode = _read_mode(directory / POOLING)
    if normalize is None and (directory / MODULES).is_file():
        normalize = _read_normalize(directory / MODULES)
    if mode is None and normalize is None:
        return None
    return Pooling(mode=mode or "mean", normalize=bool(normalize))


def _read_mode(path: Path) -> Mode:
    flags = read_json_object(path)
    active = [key for key, value in flags.items() if key.startswith(_PREFIX) and value is True]
    if len(active) != 1 or active[0] not in _MODES:
        names = " and ".join(key.removeprefix(_PREFIX) for key in active) or "nothing"
        raise BundleError(f"{path}: pools {names}; the worker pools mean_tokens or cls_token")
    return _MODES[active[0]]


def _read_normalize(path: Path) -> bool:
    modules = read_json(path)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise BundleError(f"{path}: not a list of modules")
    return any(str(module.get("type")).endswith(_NORMALIZE) for module in modules)
