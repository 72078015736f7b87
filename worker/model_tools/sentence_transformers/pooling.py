"""Finds how an embedding model pools token vectors, and which layers follow.

Combines the user's options with the files of sentence-transformers. `worker.inference.embedding`
does the pooling.
"""

from pathlib import Path
from typing import Any, Literal

from worker.model_tools.json_files import read_json_object
from worker.model_tools.sentence_transformers.layers import read_layer
from worker.model_tools.sentence_transformers.modules import MODULES, Module, read_modules
from worker.models.bundle import BundleError
from worker.models.manifest import Pooling

DEFAULT_POOLING = Module("Pooling", "1_Pooling")
"""Where a model without a modules.json has its pooling, if it says so at all."""

Mode = Literal["mean", "cls"]

_MODES: dict[str, Mode] = {"mean": "mean", "mean_tokens": "mean", "cls": "cls", "cls_token": "cls"}
_PREFIX = "pooling_mode_"


def find_pooling(
    directory: Path, mode: Mode | None, normalize: bool | None, *, base: Pooling | None = None
) -> Pooling | None:
    """The pooling of the arguments, completed from the directory's files, then from `base`.

    `None` if nothing says anything. Raises `BundleError` for modules that the worker lacks.
    """
    modules = read_modules(directory)
    layers = base.layers if base else ()
    if modules:
        if mode is None and modules.pooling is None:
            raise BundleError(
                f"{directory / MODULES}: lists no Pooling, so that texts have no embedding; "
                "select one with --pooling"
            )
        normalize = modules.normalize if normalize is None else normalize
        layers = tuple(read_layer(directory, module) for module in modules.layers)
    pooling = modules.pooling if modules else DEFAULT_POOLING
    if mode is None and pooling and (modules or (directory / pooling.config).is_file()):
        mode = _read_mode(directory / pooling.config)
    if mode is None and normalize is None:
        return base
    base = base or Pooling()
    return Pooling(
        mode=mode or base.mode,
        layers=layers,
        normalize=base.normalize if normalize is None else normalize,
    )


def _read_mode(path: Path) -> Mode:
    if not path.is_file():
        raise BundleError(f"{path} is missing; select the pooling with --pooling")
    active = _active(read_json_object(path))
    if len(active) != 1 or active[0] not in _MODES:
        names = " and ".join(active) or "nothing"
        raise BundleError(f"{path}: pools {names}; the worker pools mean_tokens or cls_token")
    return _MODES[active[0]]


def _active(config: dict[str, Any]) -> list[str]:
    """The modes: one name or a list in new files, a flag for each mode in older ones."""
    if "pooling_mode" in config:
        modes = config["pooling_mode"]
        return [str(mode) for mode in (modes if isinstance(modes, list) else [modes])]
    return [
        key.removeprefix(_PREFIX)
        for key, value in config.items()
        if key.startswith(_PREFIX) and value is True
    ]
