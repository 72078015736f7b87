"""ModelStore: a directory of named bundles, and how QA_MODEL selects one.

Part of the serving path, so it imports nothing of `model_tools`.
"""

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from worker.models.bundle import DEFAULT_BUNDLE, DEFAULT_NAME, Bundle, BundleError, open_bundle
from worker.models.manifest import Name

_NAME = TypeAdapter(Name)
_REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")


def default_directory() -> Path:
    """The store of the XDG base directory specification. Raises `BundleError` without a home."""
    base = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(base):  # the specification: ignore relative paths  # noqa: PTH117
        try:
            base = str(Path.home() / ".local" / "share")
        except RuntimeError:
            raise BundleError(
                "there is no home directory to look for models in; set QA_MODELS"
            ) from None
    return Path(base, "qa-worker", "models")


@dataclass(frozen=True, slots=True)
class ModelStore:
    """The bundles in a directory; each is a subdirectory with the bundle's name."""

    chosen: Path | None = None
    """`None`: the user's default store. Looked up late: the shipped model needs no home."""

    @property
    def directory(self) -> Path:
        """Raises `BundleError`."""
        return self.chosen or default_directory()

    def open(self, model: str) -> Bundle:
        """Open and check the bundle that `model` means. Raises `BundleError`."""
        return open_bundle(self.resolve(model))

    def resolve(self, model: str) -> Path:
        """The directory of `model`: the shipped model's name, a path, or a name in this store.

        Raises `BundleError` that lists similar names and the command that fetches a model.
        """
        if model == DEFAULT_NAME:
            # First: a directory of this name in the working directory must not replace it.
            return DEFAULT_BUNDLE
        if Path(model).is_dir():
            return Path(model)
        if "/" in model:
            raise BundleError(f"{model}: no such directory{_suggest_pull(model)}")
        if _is_name(model) and (self.directory / model).is_dir():
            return self.directory / model
        near = difflib.get_close_matches(model, [DEFAULT_NAME, *self.names()], n=3, cutoff=0.0)
        raise BundleError(
            f"{model!r} is neither a directory nor a model in {self.directory}; similar names: "
            f"{', '.join(near)}. `qa-worker model pull REPO_ID --name NAME` fetches one"
        )

    def target_directory(self, name: str) -> Path:
        """The directory for a new bundle of this name. Raises `BundleError` for an invalid name."""
        if not _is_name(name):
            raise BundleError(
                f"{name!r} is not a valid model name: use at most 96 letters, digits, '.', '_' "
                f"and '-', the first a letter or a digit; set one with --name"
            )
        if name == DEFAULT_NAME:
            raise BundleError(f"{name!r} is the shipped model; set another name with --name")
        return self.directory / name

    def names(self) -> list[str]:
        """In alphabetical order."""
        if not self.directory.is_dir():
            return []
        return sorted(
            path.name for path in self.directory.iterdir() if _is_name(path.name) and path.is_dir()
        )


def _is_name(text: str) -> bool:
    try:
        _NAME.validate_python(text)
    except ValidationError:
        return False
    return True


def _suggest_pull(model: str) -> str:
    if not _REPO_ID.fullmatch(model):
        return ""
    name = model.rpartition("/")[2]
    return f"; `qa-worker model pull {model}` fetches a model of the hub, QA_MODEL={name} uses it"
