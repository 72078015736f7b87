"""How an embedding model's token vectors become one, from the files of sentence-transformers.

Knows `modules.json` and `1_Pooling/config.json`; doing it is the affair of reading.
"""

import json
from pathlib import Path
from typing import Any, Literal

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
"""How the type of the module that divides by the length ends."""


def find_pooling(directory: Path, mode: Mode | None, normalize: bool | None) -> Pooling | None:
    """What the directory says, with what the caller says in its place; `None` where nobody says.

    Raises `BundleError` for a way of pooling that the worker does not have.
    """
    path = directory / POOLING
    if mode is None and path.is_file():
        mode = _mode(path)
    if normalize is None and (directory / MODULES).is_file():
        normalize = _normalizes(directory / MODULES)
    if mode is None and normalize is None:
        return None
    return Pooling(mode=mode or "mean", normalize=bool(normalize))


def _mode(path: Path) -> Mode:
    config = _load(path)
    flags = config if isinstance(config, dict) else {}
    on = [key for key, value in flags.items() if key.startswith(_PREFIX) and value is True]
    if len(on) != 1 or on[0] not in _MODES:
        named = " and ".join(key.removeprefix(_PREFIX) for key in on) or "nothing"
        raise BundleError(f"{path}: pools {named}; the worker does mean_tokens or cls_token")
    return _MODES[on[0]]


def _normalizes(path: Path) -> bool:
    modules = _load(path)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise BundleError(f"{path}: not a list of modules")
    return any(str(module.get("type")).endswith(_NORMALIZE) for module in modules)


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise BundleError(f"{path}: not JSON: {error}") from None
