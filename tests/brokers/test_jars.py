"""The cache of Kafka's jars: whole or not there, and copied once however many ask."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.brokers.jars import VERSION, class_path
from worker.kafka.dev_broker import BrokerUnavailable

# Takes the copied directory from its last argument, notes that it was called, and is slow enough
# to be met half-way.
MAVEN = """#!/bin/sh
for last; do :; done
jars="${last#-DoutputDirectory=}"
mkdir "$jars"
echo called >> "$0.calls"
touch "$jars/b.jar"
sleep 0.2
touch "$jars/a.jar"
"""


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Maven, and an empty cache."""
    program = tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(MAVEN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return program


def test_two_who_ask_at_once_share_one_whole_copy(maven: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(class_path) for _ in range(2)]

    jars = tmp_path / "cache" / "qa-worker" / f"kafka-{VERSION}" / "jars"
    assert {answer.result() for answer in asked} == {f"{jars}/a.jar:{jars}/b.jar"}
    assert Path(f"{maven}.calls").read_text() == "called\n"


def test_a_copy_that_failed_is_not_taken_for_done(maven: Path) -> None:
    maven.write_text(MAVEN + "echo the line is down\nexit 1\n")
    with pytest.raises(BrokerUnavailable, match="the line is down"):
        class_path()

    maven.write_text(MAVEN)
    assert class_path().count(".jar") == 2
