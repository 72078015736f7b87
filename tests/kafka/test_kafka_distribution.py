"""The cache of Kafka's jars: every jar has the sum of the lock file, whatever interrupts it."""

import functools
import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.brokers.distribution import suite_distribution
from worker.kafka.dev_broker import KAFKA_VERSION, kafka_distribution
from worker.kafka.kafka_distribution import (
    BrokerUnavailable,
    Jar,
    KafkaDistribution,
    cache_directory,
    parse_lock,
)

CONTENTS = {"first": b"one", "second": b"two"}
JARS = tuple(
    Jar("org.example", name, "1.0", hashlib.sha256(content).hexdigest())
    for name, content in CONTENTS.items()
)
DISTRIBUTION = KafkaDistribution("1.0", JARS)


class Repository(ThreadingHTTPServer):
    """A Maven repository on this machine; `jars` names the jars that clients asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.jars: list[str] = []
        for jar in JARS:
            self.path(jar).parent.mkdir(parents=True)
            self.path(jar).write_bytes(CONTENTS[jar.artifact])
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=str(directory)))

    def path(self, jar: Jar) -> Path:
        return self.directory.joinpath("org", "example", jar.artifact, "1.0", jar.file_name)


class _Handler(SimpleHTTPRequestHandler):
    server: Repository

    def do_GET(self) -> None:
        if self.path.endswith(".jar"):
            self.server.jars.append(self.path.rpartition("/")[2])
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """Takes the place of Maven Central; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Repository(tmp_path / "repository") as server:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("MAVEN_REPOSITORY", address)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def cached() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache_directory().glob("[!.]*")}


def test_jars_are_downloaded_once_and_stand_in_the_order_of_the_lock_file(
    repository: Repository,
) -> None:
    cache = cache_directory()

    for _ in range(2):
        assert DISTRIBUTION.class_path() == f"{cache}/first-1.0.jar:{cache}/second-1.0.jar"

    assert sorted(repository.jars) == ["first-1.0.jar", "second-1.0.jar"]
    assert cached() == {"first-1.0.jar": b"one", "second-1.0.jar": b"two"}
    assert [path.name for path in cache.glob(".*")] == [".lock"]


def test_two_that_start_at_once_download_each_jar_once(repository: Repository) -> None:
    with ThreadPoolExecutor(2) as pool:
        class_paths = list(pool.map(lambda _: DISTRIBUTION.class_path(), range(2)))

    assert class_paths[0] == class_paths[1]
    assert sorted(repository.jars) == ["first-1.0.jar", "second-1.0.jar"]


def test_a_download_with_another_sum_is_refused_and_not_kept(repository: Repository) -> None:
    repository.path(JARS[1]).write_bytes(b"altered")

    with pytest.raises(BrokerUnavailable, match=r"org\.example:second:1\.0: .* SHA-256"):
        DISTRIBUTION.class_path()

    assert "second-1.0.jar" not in cached()


def test_an_altered_jar_in_the_cache_is_downloaded_again(repository: Repository) -> None:
    DISTRIBUTION.class_path()
    cache_directory().joinpath("first-1.0.jar").write_bytes(b"half")

    DISTRIBUTION.class_path()

    assert cached()["first-1.0.jar"] == b"one"


def test_what_a_killed_download_left_is_cleared_away(repository: Repository) -> None:
    left = cache_directory() / ".downloading" / "first-1.0.jar"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")

    DISTRIBUTION.class_path()

    assert cached()["first-1.0.jar"] == b"one"
    assert not left.exists()


def test_a_jar_that_the_repository_does_not_have_is_named(repository: Repository) -> None:
    repository.path(JARS[0]).unlink()

    with pytest.raises(BrokerUnavailable, match=r"cannot download org\.example:first:1\.0: "):
        DISTRIBUTION.class_path()


def test_without_a_network_one_line_says_what_to_check(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # the discard service: not there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(BrokerUnavailable) as raised:
        DISTRIBUTION.class_path()

    assert "\n" not in str(raised.value)
    assert "Connection refused; check the connection to http://127.0.0.1:" in str(raised.value)


@pytest.mark.parametrize("address", ["repo.example.com/maven2", "file:///etc"])
def test_a_mirror_that_is_no_http_address_is_named(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("MAVEN_REPOSITORY", address)

    with pytest.raises(BrokerUnavailable, match=r"is not an http\(s\) address; .*MAVEN_REPOSITORY"):
        DISTRIBUTION.class_path()


def test_a_cache_that_cannot_be_written_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))

    with pytest.raises(BrokerUnavailable, match="set XDG_CACHE_HOME"):
        DISTRIBUTION.class_path()


def test_a_lock_file_may_name_an_artifact_that_is_not_a_jar() -> None:
    (archive,) = parse_lock(f"{'0' * 64}  org.example:first:1.0:all:tar.gz\n", "some.lock")

    assert archive.path == "org/example/first/1.0/first-1.0-all.tar.gz"


@pytest.mark.parametrize("line", ["org.example:first:1.0", f"{'0' * 64}  org.example:first", "?"])
def test_a_malformed_line_of_a_lock_file_is_named(line: str) -> None:
    with pytest.raises(BrokerUnavailable, match=r"some\.lock, line 2: expected"):
        parse_lock(f"# comment\n{line}\n", "some.lock")


def test_a_lock_file_without_kafka_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text(f"{'0' * 64}  org.example:first:1.0\n")

    with pytest.raises(BrokerUnavailable, match=r"must list the artifact kafka_2\.13 once"):
        KafkaDistribution.read(lock)


@pytest.mark.parametrize("tested", ["", "3.9"])
def test_a_lock_file_names_each_jar_once(monkeypatch: pytest.MonkeyPatch, tested: str) -> None:
    monkeypatch.setenv("TEST_KAFKA_VERSION", tested)
    distribution = suite_distribution.__wrapped__()

    names = [jar.file_name for jar in distribution.jars]
    assert len(set(names)) == len(names)
    assert distribution.version.startswith(tested or KAFKA_VERSION)


def test_an_unknown_version_to_test_on_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KAFKA_VERSION", "2.8")

    with pytest.raises(BrokerUnavailable, match=r"TEST_KAFKA_VERSION=2\.8: .* one of 3\.9"):
        suite_distribution.__wrapped__()


def test_the_demo_runs_the_version_that_it_names() -> None:
    assert kafka_distribution().version == KAFKA_VERSION
