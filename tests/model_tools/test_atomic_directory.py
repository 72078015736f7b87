"""A directory is complete under its name or does not exist, whatever interrupts its creation."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from worker.model_tools.atomic_directory import atomic_directory
from worker.models.bundle import BundleError
from worker.models.manifest import MANIFEST

_CREATOR = """
import sys
from pathlib import Path
from worker.model_tools.atomic_directory import atomic_directory

with atomic_directory(Path(sys.argv[1])) as directory:
    (directory / "model.onnx").write_bytes(b"half")
    print("half", flush=True)
    sys.stdin.readline()
    (directory / "manifest.json").write_bytes(b"{}")
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def create(target: Path, content: bytes = b"{}", *, replace: bool = False) -> None:
    with atomic_directory(target, replace=replace) as directory:
        (directory / MANIFEST).write_bytes(content)


def creator(target: Path) -> "subprocess.Popen[str]":
    """A process that has written half of `target`; a line on its stdin lets it finish."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CREATOR, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    return process


def names(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir())


def test_directory_appears_complete_and_nothing_else_remains(store: Path) -> None:
    with atomic_directory(store / "large") as directory:
        (directory / MANIFEST).touch()
        assert not (store / "large").exists()
    assert names(store) == ["large"]
    assert names(store / "large") == [MANIFEST]


def test_directory_has_the_permissions_of_the_umask(store: Path) -> None:
    create(store / "large")
    (store / "other").mkdir()
    assert (store / "large").stat().st_mode == (store / "other").stat().st_mode


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_error_leaves_nothing(store: Path, error: BaseException) -> None:
    def interrupted() -> None:
        with atomic_directory(store / "large") as directory:
            (directory / MANIFEST).touch()
            raise error

    with pytest.raises(type(error)):
        interrupted()
    assert names(store) == []


def test_full_disk_is_named_and_leaves_nothing(store: Path) -> None:
    def create_on_a_full_disk() -> None:
        with atomic_directory(store / "large") as directory:
            (directory / MANIFEST).symlink_to("/dev/full")
            (directory / MANIFEST).write_bytes(b"{}")

    with pytest.raises(BundleError, match="the disk is full; large was not created"):
        create_on_a_full_disk()
    assert names(store) == []


def test_files_are_synced_before_the_rename(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def recorded(handle: int) -> None:
        fsync(handle)
        synced.append(Path(f"/proc/self/fd/{handle}").resolve().name)
        assert (store / "large").exists() == (synced[-1] == "store")

    monkeypatch.setattr(os, "fsync", recorded)
    create(store / "large")
    assert synced == [MANIFEST, "large", "store"]


# Existing names.


def test_existing_name_is_refused(store: Path) -> None:
    create(store / "large", b"old")
    with pytest.raises(BundleError, match="large exists; choose another --name, or --replace it"):
        create(store / "large", b"new")
    assert (store / "large" / MANIFEST).read_bytes() == b"old"


def test_replaced_bundle_is_gone(store: Path) -> None:
    create(store / "large", b"old")
    create(store / "large", b"new", replace=True)
    assert (store / "large" / MANIFEST).read_bytes() == b"new"
    assert names(store) == ["large"]


def test_failed_replacement_keeps_the_old_bundle(store: Path) -> None:
    create(store / "large", b"old")
    with pytest.raises(ValueError, match="no"), atomic_directory(store / "large", replace=True):
        raise ValueError("no")
    assert (store / "large" / MANIFEST).read_bytes() == b"old"


def test_directory_without_a_manifest_is_never_replaced(store: Path) -> None:
    (store / "photos").mkdir(parents=True)
    with pytest.raises(BundleError, match="photos exists and is not a bundle; it is not replaced"):
        create(store / "photos", replace=True)
    assert names(store) == ["photos"]


# Several processes.


@pytest.mark.process
def test_next_process_removes_what_a_killed_one_left(store: Path) -> None:
    with creator(store / "large") as process:
        process.send_signal(signal.SIGKILL)
    assert not (store / "large").exists()
    assert len(names(store)) == 1
    create(store / "large")
    assert names(store) == ["large"]


@pytest.mark.process
def test_first_of_two_processes_to_finish_wins(store: Path) -> None:
    with creator(store / "large") as process:
        create(store / "large", b"first")
        process.communicate("finish\n")
    assert process.returncode != 0
    assert names(store) == ["large"]
    assert (store / "large" / MANIFEST).read_bytes() == b"first"
