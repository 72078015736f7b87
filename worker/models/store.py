"""Named bundles: a directory of them, and the way from what QA_MODEL says to one.

Needs nothing that only making bundles needs: the worker itself goes through here.
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
    """Where the XDG base directory specification puts it. Raises `BundleError` without a home."""
    base = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(base):  # the specification: others are to be ignored  # noqa: PTH117
        try:
            base = str(Path.home() / ".local" / "share")
        except RuntimeError:
            raise BundleError(
                "there is no home directory to look for models in; set QA_MODELS"
            ) from None
    return Path(base, "qa-worker", "models")


@dataclass(frozen=True, slots=True)
class ModelStore:
    """The bundles in a directory; each is a directory under its name."""

    chosen: Path | None = None
    """`None` is the user's own: looked up late, as the embedded model needs no home."""

    @property
    def directory(self) -> Path:
        """Raises `BundleError`."""
        return self.chosen or default_directory()

    def open(self, model: str) -> Bundle:
        """The bundle that `model` means, checked. Raises `BundleError`."""
        return open_bundle(self.find(model))

    def find(self, model: str) -> Path:
        """The directory that `model` means: the embedded model's name, a directory, or a name here.

        Raises `BundleError`, with what is near and how to get what is not there.
        """
        if model == DEFAULT_NAME:
            # First, so that no directory of this name where the worker starts can take its place.
            return DEFAULT_BUNDLE
        if Path(model).is_dir():
            return Path(model)
        if "/" in model:
            raise BundleError(f"{model}: there is no such directory{_if_repository(model)}")
        if _is_name(model) and (self.directory / model).is_dir():
            return self.directory / model
        near = difflib.get_close_matches(model, [DEFAULT_NAME, *self.names()], n=3, cutoff=0.0)
        raise BundleError(
            f"{model!r} is no directory and no model in {self.directory}; the nearest there: "
            f"{', '.join(near)}. `qa-worker model pull REPO_ID --name NAME` fetches one"
        )

    def place(self, name: str) -> Path:
        """Where a new bundle of this name belongs. Raises `BundleError` where none may have it."""
        if not _is_name(name):
            raise BundleError(
                f"{name!r} is no name for a model: letters, digits, '.', '_' and '-', of which the "
                f"first is a letter or a digit, and at most 96; give one with --name"
            )
        if name == DEFAULT_NAME:
            raise BundleError(f"{name!r} is the model of the package; give another --name")
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


def _if_repository(model: str) -> str:
    if not _REPO_ID.fullmatch(model):
        return ""
    name = model.rpartition("/")[2]
    return f"; `qa-worker model pull {model}` fetches a model of the hub, QA_MODEL={name} uses it"
