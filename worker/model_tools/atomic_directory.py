"""A directory that appears whole under its name, or not at all, whatever stops the making of it.

Files are put together in a hidden directory beside the target, which takes the name once all of
them are on the disk. A lock for each name keeps two makers apart and tells what a killed one left
behind from what is being made: the system drops a lock with its process.
"""

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.models.bundle import BundleError
from worker.models.manifest import MANIFEST

_PARTIAL = ".qa-partial"
_REPLACED = ".qa-replaced"
_LOCK = ".qa-lock"
_LEFTOVERS = (
    re.compile(r"\.(?P<name>.+)\.[^.]+\.qa-(partial|replaced)"),
    re.compile(r"\.(?P<name>.+)\.qa-lock"),
)


@contextmanager
def atomic_directory(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty directory to put the files in; it is `target` once the block ends without an error.

    Raises `BundleError` where `target` is there and may not be replaced, where another process
    makes it, and where the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(target.parent)
    with _locked(target) as mine:
        if not mine:
            raise BundleError(f"{target} is being made by another process; wait for its end")
        ensure_available(target, replace=replace)
        partial = Path(
            tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_PARTIAL, dir=target.parent)
        )
        try:
            yield partial
            partial.chmod(0o755)
            _put(partial, target)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise BundleError(
                    f"{target.parent}: the disk is full; {target.name} is not made"
                ) from None
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def ensure_available(target: Path, *, replace: bool = False) -> None:
    """Raises `BundleError` where something has the name and may not be replaced."""
    if not target.exists():
        return
    if not replace:
        raise BundleError(f"{target} is there already; take another --name, or --replace it")
    if not (target / MANIFEST).is_file():
        # A slip of the pen must not cost somebody a directory of other things.
        raise BundleError(f"{target} is there and is no bundle; it is not replaced")


def remove_leftovers(directory: Path) -> None:
    """Clear away what makers that were killed left in `directory`.

    One that was killed between the two renames of `_put` has taken a bundle away and not put the
    new one there: the old one gets its name back.
    """
    for leftover in sorted(directory.iterdir()):
        name = _made_name(leftover)
        if name is None:
            continue
        target = directory / name
        # Taking the lock takes away a stale one's file, too.
        with _locked(target) as mine:
            if not mine or not leftover.is_dir():
                continue
            if leftover.name.endswith(_REPLACED) and not target.exists():
                leftover.rename(target)
            else:
                shutil.rmtree(leftover)


def _made_name(leftover: Path) -> str | None:
    matches = (pattern.fullmatch(leftover.name) for pattern in _LEFTOVERS)
    return next((match["name"] for match in matches if match), None)


@contextmanager
def _locked(target: Path) -> Iterator[bool]:
    """Whether the name is ours until the block ends; False where another process has it."""
    path = target.with_name(f".{target.name}{_LOCK}")
    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            yield False
            return
        if _is_still(path, handle):
            break
        # Whoever had it before removed the file that we waited for.
        os.close(handle)
    try:
        yield True
    finally:
        path.unlink()
        os.close(handle)


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _put(partial: Path, target: Path) -> None:
    """Rename over `target`. On the disk before it has its name, so that a power cut cannot leave
    a whole name on half a file.
    """
    for path in [*partial.iterdir(), partial]:
        _to_disk(path)
    if not target.exists():
        partial.rename(target)
    else:
        # A directory that is not empty cannot be renamed over: the old one steps aside first.
        replaced = partial.with_name(partial.name.removesuffix(_PARTIAL) + _REPLACED)
        target.rename(replaced)
        try:
            partial.rename(target)
        except BaseException:
            replaced.rename(target)
            raise
        shutil.rmtree(replaced)
    _to_disk(target.parent)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
