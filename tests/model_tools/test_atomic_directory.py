"""A directory has its name when it is whole, whatever stops the work and whoever works beside."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from worker.model_tools.atomic_directory import atomic_directory, remove_leftovers
from worker.models.bundle import BundleError
from worker.models.manifest import MANIFEST

_MAKER = """
import sys
from pathlib import Path
from worker.model_tools.atomic_directory import atomic_directory

with atomic_directory(Path(sys.argv[1]), replace=True) as partial:
    (partial / "model.onnx").write_bytes(b"half")
    print("in the middle", flush=True)
    sys.stdin.readline()
    (partial / "manifest.json").write_bytes(b"{}")
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def make(target: Path, content: bytes = b"{}", *, replace: bool = False) -> None:
    with atomic_directory(target, replace=replace) as partial:
        (partial / MANIFEST).write_bytes(content)


def stopped(target: Path, error: BaseException) -> None:
    with atomic_directory(target) as partial:
        (partial / MANIFEST).touch()
        raise error


def make_on_a_full_disk(target: Path) -> None:
    with atomic_directory(target) as partial:
        (partial / MANIFEST).symlink_to("/dev/full")
        (partial / MANIFEST).write_bytes(b"{}")


def maker(target: Path) -> "subprocess.Popen[str]":
    """A process in the middle of making `target`; a line on its stdin lets it go on."""
    process = subprocess.Popen(
        [sys.executable, "-c", _MAKER, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in the middle\n"
    return process


def names(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir())


# Whole, or not there.


def test_what_was_put_in_is_there_under_the_name_and_nothing_else(store: Path) -> None:
    make(store / "large")
    assert names(store) == ["large"]
    assert names(store / "large") == [MANIFEST]


def test_until_the_end_there_is_nothing_under_the_name(store: Path) -> None:
    with atomic_directory(store / "large") as partial:
        (partial / MANIFEST).touch()
        assert not (store / "large").exists()
        assert partial.parent == store


def test_everybody_may_read_it_as_their_umask_says(store: Path) -> None:
    make(store / "large")
    assert (store / "large").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_error_leaves_nothing(store: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        stopped(store / "large", error)
    assert names(store) == []


def test_a_killed_maker_leaves_nothing_under_the_name_and_the_next_tidies(store: Path) -> None:
    with maker(store / "large") as process:
        process.send_signal(signal.SIGKILL)
    assert not (store / "large").exists()
    assert len(names(store)) == 2
    make(store / "small")
    assert names(store) == ["small"]


def test_a_full_disk_is_said_and_leaves_nothing(store: Path) -> None:
    with pytest.raises(BundleError, match="the disk is full; large is not made"):
        make_on_a_full_disk(store / "large")
    assert names(store) == []


# Names that are taken.


def test_a_name_that_is_taken_is_refused(store: Path) -> None:
    make(store / "large", b"old")
    with pytest.raises(BundleError, match="large is there already; take another --name"):
        make(store / "large", b"new")
    assert (store / "large" / MANIFEST).read_bytes() == b"old"


def test_a_replaced_bundle_is_the_new_one_and_the_old_one_is_gone(store: Path) -> None:
    make(store / "large", b"old")
    make(store / "large", b"new", replace=True)
    assert (store / "large" / MANIFEST).read_bytes() == b"new"
    assert names(store) == ["large"]


def test_a_replacement_that_fails_leaves_the_old_one(store: Path) -> None:
    make(store / "large", b"old")
    with pytest.raises(ValueError, match="no"), atomic_directory(store / "large", replace=True):
        raise ValueError("no")
    assert (store / "large" / MANIFEST).read_bytes() == b"old"


def test_what_is_no_bundle_is_never_replaced(store: Path) -> None:
    (store / "photos").mkdir(parents=True)
    with pytest.raises(BundleError, match="photos is there and is no bundle; it is not replaced"):
        make(store / "photos", replace=True)
    assert names(store) == ["photos"]


# Several makers.


def test_a_name_that_another_process_makes_is_refused(store: Path) -> None:
    with maker(store / "large") as process:
        with pytest.raises(BundleError, match="large is being made by another process"):
            make(store / "large")
        process.communicate("go on\n")
    assert process.returncode == 0
    assert names(store / "large") == [MANIFEST, "model.onnx"]


def test_another_process_is_not_tidied_away(store: Path) -> None:
    with maker(store / "large") as process:
        make(store / "small")
        process.communicate("go on\n")
    assert names(store) == ["large", "small"]


# What killed makers leave.


def test_a_bundle_that_was_moved_aside_gets_its_name_back(store: Path) -> None:
    make(store / "large.v2", b"old")
    (store / "large.v2").rename(store / ".large.v2.abc123_x.qa-replaced")
    remove_leftovers(store)
    assert (store / "large.v2" / MANIFEST).read_bytes() == b"old"
    assert names(store) == ["large.v2"]


def test_one_that_was_moved_aside_and_replaced_is_cleared_away(store: Path) -> None:
    make(store / "large", b"new")
    (store / ".large.abc123_x.qa-replaced").mkdir()
    remove_leftovers(store)
    assert names(store) == ["large"]
    assert (store / "large" / MANIFEST).read_bytes() == b"new"


def test_what_is_not_ours_stays(store: Path) -> None:
    others = [".cache", ".large.partial", ".x.qa-partial.txt", "a.b.qa-partial"]
    for name in others:
        (store / name).mkdir(parents=True)
    remove_leftovers(store)
    assert names(store) == sorted(others)


def test_files_are_on_the_disk_before_they_have_the_name(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        fsync(handle)
        synced.append(Path(f"/proc/self/fd/{handle}").resolve().name)
        assert (store / "large").exists() == (synced[-1] == "store")

    monkeypatch.setattr(os, "fsync", noted)
    make(store / "large")
    assert synced[0] == MANIFEST
    assert synced[-1] == "store"
