"""What a user got wrong, or what is not there, is one line on stderr and an exit code."""

from pathlib import Path

import pytest

from tests.cli.conftest import Command, Done
from tests.inference.bundles import write_bundle

ASK = ("ask", "--question", "Who?", "--context", "Ada.")


def complaint(done: Done, code: int) -> str:
    """The one line, its mark taken off."""
    assert done.code == code
    assert done.out == ""
    line, *rest = done.err.splitlines()
    assert rest == []
    assert line.startswith("qa-worker: ")
    return line.removeprefix("qa-worker: ")


def test_without_arguments_there_is_help(command: Command) -> None:
    done = command()
    assert done.code == 0
    for name in ("run", "demo", "ask", "read", "evaluate", "topics", "dead-letters", "settings"):
        assert name in done.out


def test_an_unknown_command_is_named(command: Command) -> None:
    assert "'answer'" in complaint(command("answer"), 2)


def test_an_unknown_option_is_named(command: Command) -> None:
    assert "--loud" in complaint(command("settings", "--loud"), 2)


def test_a_missing_option_is_named(command: Command) -> None:
    assert "--question" in complaint(command("ask", "--context", "Ada."), 2)


@pytest.mark.parametrize("name", ["read", "evaluate"])
def test_a_missing_file_is_named(command: Command, name: str) -> None:
    assert "nowhere.jsonl" in complaint(command(name, "nowhere.jsonl"), 2)


def test_a_missing_context_file_is_named(command: Command) -> None:
    said = complaint(command("ask", "--question", "Who?", "--context-file", "nowhere.txt"), 1)
    assert "nowhere.txt" in said


@pytest.mark.parametrize("name", ["read", "evaluate"])
def test_a_directory_is_no_file(command: Command, tmp_path: Path, name: str) -> None:
    assert "is a directory" in complaint(command(name, tmp_path), 2)


@pytest.mark.parametrize(
    "arguments",
    [ASK, ("settings",), ("run",), ("topics", "check")],
    ids=lambda arguments: arguments[0],
)
def test_a_bad_setting_stops_every_command(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("QA_TOPK", "3")
    assert complaint(command(*arguments), 1) == "QA_TOPK is no setting; the nearest is QA_TOP_K"


def test_a_missing_model_is_named(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QA_MODEL", "/nowhere/model")
    assert complaint(command(*ASK), 1) == "/nowhere/model: there is no such directory"


def test_a_broken_model_is_named(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
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
def test_a_command_that_needs_a_broker_says_which_setting_names_it(
    command: Command, arguments: tuple[str, ...]
) -> None:
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in complaint(command(*arguments), 1)


@pytest.mark.parametrize(
    "arguments",
    [ASK, ("topics", "check"), ("topics", "create"), ("dead-letters", "replay")],
    ids=lambda arguments: arguments[:2],
)
def test_a_broker_that_is_not_there_is_named(
    command: Command, closed_port: int, arguments: tuple[str, ...]
) -> None:
    said = complaint(command(*arguments), 1)
    server = f"127.0.0.1:{closed_port}"
    assert said.startswith(f"no broker answers at {server} (KAFKA_BOOTSTRAP_SERVERS): ")
    assert said.endswith(f"{server}: [Errno 111] Connect call failed ('127.0.0.1', {closed_port})")


def test_a_trust_store_that_is_not_there_is_named(
    command: Command, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("KAFKA_SSL_TRUSTSTORE_LOCATION", "/nowhere/ca.pem")
    said = complaint(command("run"), 1)
    assert said.startswith("KAFKA_SSL_TRUSTSTORE_LOCATION is '/nowhere/ca.pem'")


def test_a_squad_file_that_is_none_is_named(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "squad.json"
    file.write_text("[]")
    assert complaint(command("evaluate", file), 1).startswith(f"{file}: not a SQuAD file")
