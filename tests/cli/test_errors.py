"""A command that fails prints one line to stderr and exits with 1, or 2 for wrong arguments."""

from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.forked import Done
from tests.inference.bundles import write_bundle
from worker.cli import settings
from worker.cli.error_messages import EXPECTED

ASK = ("ask", "--question", "Who?", "--context", "Ada.")


def complaint(done: Done, code: int) -> str:
    """The error line without its prefix."""
    assert done.code == code
    assert done.out == ""
    line, *rest = done.err.splitlines()
    assert rest == []
    assert line.startswith("qa-worker: ")
    return line.removeprefix("qa-worker: ")


def test_help_is_printed_without_arguments(command: Command) -> None:
    done = command()
    assert done.code == 0
    for name in ("run", "demo", "ask", "read", "evaluate", "topics", "dead-letters", "settings"):
        assert name in done.out


def test_unknown_command(command: Command) -> None:
    assert "'answer'" in complaint(command("answer"), 2)


def test_unknown_option(command: Command) -> None:
    assert "--loud" in complaint(command("settings", "--loud"), 2)


def test_missing_option(command: Command) -> None:
    assert "--question" in complaint(command("ask", "--context", "Ada."), 2)


@pytest.mark.parametrize("name", ["read", "evaluate"])
def test_missing_input_file(command: Command, name: str) -> None:
    assert "nowhere.jsonl" in complaint(command(name, "nowhere.jsonl"), 2)


def test_missing_context_file(command: Command) -> None:
    said = complaint(command("ask", "--question", "Who?", "--context-file", "nowhere.txt"), 1)
    assert "nowhere.txt" in said


@pytest.mark.parametrize("name", ["read", "evaluate"])
def test_directory_instead_of_a_file(command: Command, tmp_path: Path, name: str) -> None:
    assert "is a directory" in complaint(command(name, tmp_path), 2)


@pytest.mark.parametrize(
    "arguments",
    [ASK, ("settings",), ("run",), ("topics", "check")],
    ids=lambda arguments: arguments[0],
)
def test_unknown_setting_stops_every_command(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("QA_TOPK", "3")
    assert complaint(command(*arguments), 1) == "unknown setting QA_TOPK; did you mean QA_TOP_K?"


def test_missing_model(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QA_MODEL", "/nowhere/model")
    assert complaint(command(*ASK), 1) == "/nowhere/model: no such directory"


def test_broken_model(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = write_bundle(tmp_path / "broken", model=b"no graph", max_tokens=512)
    monkeypatch.setenv("QA_MODEL", str(broken))
    assert "model.onnx: " in complaint(command(*ASK), 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("topics", "check"),
        ("topics", "create"),
        ("dead-letters", "list"),
        ("dead-letters", "show", "0:0"),
        ("dead-letters", "replay"),
    ],
)
def test_missing_bootstrap_servers(command: Command, arguments: tuple[str, ...]) -> None:
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in complaint(command(*arguments), 1)


@pytest.mark.parametrize(
    "arguments",
    [ASK, ("topics", "check"), ("topics", "create"), ("dead-letters", "replay")],
    ids=lambda arguments: arguments[:2],
)
def test_unreachable_broker(command: Command, closed_port: int, arguments: tuple[str, ...]) -> None:
    said = complaint(command(*arguments), 1)
    server = f"127.0.0.1:{closed_port}"
    assert said.startswith(f"cannot connect to {server} (KAFKA_BOOTSTRAP_SERVERS): ")
    assert said.endswith(f"{server}: [Errno 111] Connect call failed ('127.0.0.1', {closed_port})")


def test_missing_truststore(
    command: Command, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("KAFKA_SSL_TRUSTSTORE_LOCATION", "/nowhere/ca.pem")
    said = complaint(command("run"), 1)
    assert said.startswith("KAFKA_SSL_TRUSTSTORE_LOCATION is '/nowhere/ca.pem'")


def test_file_that_is_not_squad(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "squad.json"
    file.write_text("[]")
    assert complaint(command("evaluate", file), 1).startswith(f"{file}: not a SQuAD file")


@pytest.mark.parametrize("kind", EXPECTED)
def test_an_expected_error_is_one_line_without_a_traceback(
    command: Command, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def fail() -> None:
        raise kind("two\nlines")

    monkeypatch.setattr(settings, "load", fail)
    assert complaint(command("settings"), 1).endswith("two lines")
