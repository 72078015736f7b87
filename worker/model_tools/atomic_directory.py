"""Creates a directory atomically: under its name it is complete, or it does not exist.

The files are written into a hidden directory beside the target, synced to the disk, and renamed.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from worker.models.bundle import BundleError
from worker.models.manifest import MANIFEST

_SUFFIX = ".qa-partial"


@contextmanager
def atomic_directory(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty directory that becomes `target` when the block ends without an error.

    A replaced directory steps aside first, as a rename cannot replace a directory with files; a
    power cut between the two renames loses it. Of two processes that create one name, the first to
    finish wins. Raises `BundleError` if `target` exists and may not be replaced, or if the disk is
    full.
    """
    ensure_available(target, replace=replace)
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name}."
    _remove_abandoned(target.parent, prefix)
    with (
        tempfile.TemporaryDirectory(_SUFFIX, prefix, target.parent) as scratch,
        _descriptor(Path(scratch)) as handle,
    ):
        # Marks the directory as in use. The kernel drops the lock with the process.
        fcntl.flock(handle, fcntl.LOCK_EX)
        directory = Path(scratch, target.name)
        directory.mkdir()
        try:
            yield directory
            for path in [*directory.iterdir(), directory]:
                _sync(path)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise BundleError(
                    f"{target.parent}: the disk is full; {target.name} was not created"
                ) from None
            raise
        ensure_available(target, replace=replace)
        if target.exists():
            target.rename(Path(scratch, "replaced"))
        directory.rename(target)
        _sync(target.parent)


def ensure_available(target: Path, *, replace: bool = False) -> None:
    """Raise `BundleError` if `target` exists and may not be replaced. Only bundles may be."""
    if not target.exists():
        return
    if not replace:
        raise BundleError(f"{target} exists; choose another --name, or --replace it")
    if not (target / MANIFEST).is_file():
        raise BundleError(f"{target} exists and is not a bundle; it is not replaced")


def _remove_abandoned(parent: Path, prefix: str) -> None:
    """Delete what killed processes left of the same name.

    A container that is killed for its memory and restarted would otherwise fill its volume.
    """
    for path in parent.iterdir():
        if not (path.name.startswith(prefix) and path.name.endswith(_SUFFIX) and path.is_dir()):
            continue
        # Skips a directory that is in use, or that its process has removed meanwhile.
        with suppress(BlockingIOError, FileNotFoundError), _descriptor(path) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)


@contextmanager
def _descriptor(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    with _descriptor(path) as handle:
        os.fsync(handle)
