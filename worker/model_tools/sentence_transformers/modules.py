"""Reads `modules.json` of sentence-transformers: which modules turn a text into its embedding.

Every module is applied or refused by its name. `pooling.py` and `layers.py` read the modules' own
files.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.model_tools.json_files import read_json
from worker.models.bundle import BundleError

MODULES = "modules.json"
_PACKAGE = "sentence_transformers."

_LAYERS = ("Dense", "LayerNorm")
_WEIGHTS = "model.safetensors"
_PICKLE = "pytorch_model.bin"
_CONFIG = "config.json"
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Module:
    """A module: the name of its class, and its folder below the model's directory."""

    kind: str
    folder: str

    @property
    def config(self) -> str:
        return f"{self.folder}/{_CONFIG}"

    @property
    def weights(self) -> str:
        return f"{self.folder}/{_WEIGHTS}"

    @property
    def pickle(self) -> str:
        return f"{self.folder}/{_PICKLE}"


@dataclass(frozen=True, slots=True)
class Modules:
    """The modules that follow the encoder.

    pooling    None if modules.json lists none
    layers     Dense and LayerNorm, in their order
    normalize  whether the vector is scaled to length 1 in the end
    """

    pooling: Module | None
    layers: tuple[Module, ...]
    normalize: bool

    def files(self, names: Collection[str]) -> tuple[str, ...]:
        """The modules' files among `names`, those of the model's repository."""
        wanted = [self.pooling.config] if self.pooling else []
        wanted += [name for layer in self.layers for name in (layer.config, layer.weights)]
        return tuple(name for name in wanted if name in names)


def read_modules(directory: Path) -> Modules | None:
    """`None` without a modules.json. Raises `BundleError` for modules that are not applied."""
    path = directory / MODULES
    if not path.is_file():
        return None
    modules = [_module(path, entry) for entry in _entries(path)]
    kinds = [module.kind for module in modules]
    if kinds[:1] != ["Transformer"] or modules[0].folder:
        first = f"{kinds[0]} in {modules[0].folder or '.'}" if modules else "nothing"
        raise BundleError(
            f"{path}: begins with {first}; supported is a Transformer in the model's own directory"
        )
    rest = [module for module in modules[1:] if module.kind != "Dropout"]
    pooling = rest.pop(0) if rest and rest[0].kind == "Pooling" else None
    normalize = bool(rest) and rest[-1].kind == "Normalize"
    if normalize:
        rest.pop()
    for module in rest:
        if module.kind not in _LAYERS:
            order = " -> ".join(kinds)
            raise BundleError(
                f"{path}: {module.kind} in {order} is not supported; supported are Transformer -> "
                f"Pooling -> {' or '.join(_LAYERS)}, as many as there are -> Normalize"
            )
    return Modules(pooling, tuple(rest), normalize)


def _entries(path: Path) -> list[dict[str, Any]]:
    entries = read_json(path)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BundleError(f"{path}: not a list of modules")
    return entries


def _module(path: Path, entry: dict[str, Any]) -> Module:
    kind, folder = entry.get("type"), entry.get("path", "")
    if not isinstance(kind, str) or not kind.startswith(_PACKAGE):
        raise BundleError(
            f"{path}: the module {kind!r} is code of the model's own, which is not run; supported "
            f"are modules of {_PACKAGE.rstrip('.')}"
        )
    if not isinstance(folder, str) or (folder and not _FOLDER.fullmatch(folder)):
        raise BundleError(f"{path}: the path {folder!r} is not a folder of the model's directory")
    return Module(kind.rpartition(".")[2], folder)
