"""Recognizes files that hold something else than their name says.

A clone without git-lfs has pointers in place of large files, a download may have an error page.
"""

from collections.abc import Iterable
from pathlib import Path

from worker.models.bundle import BundleError

_POINTER = b"version https://git-lfs.github.com/spec/"
_PAGES = (b"<!doctype html", b"<html")
_START = 64
"""Bytes that tell."""


def check_contents(directory: Path, names: Iterable[str]) -> None:
    """Raise `BundleError` for a pointer, a page or an empty file among `names`, if it exists."""
    for name in names:
        path = directory / name
        if not path.is_file():
            continue
        with path.open("rb") as file:
            start = file.read(_START)
        if start.startswith(_POINTER):
            raise BundleError(
                f"{path}: a git-lfs pointer in place of the file; run `git lfs pull` in {directory}"
            )
        if start.lstrip().lower().startswith(_PAGES):
            raise BundleError(f"{path}: an HTML page in place of the file; download it again")
        if not start:
            raise BundleError(f"{path}: the file is empty; download it again")
