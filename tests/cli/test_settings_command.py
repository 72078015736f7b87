"""`qa-worker settings`: every variable, and no secret."""

import pytest

from tests.cli.conftest import Command
from worker.settings.environment import variables

PASSWORD = "hunter2"


def row(out: str, name: str) -> str:
    (line,) = [line for line in out.splitlines() if line.startswith(f"│ {name} ")]
    return line


def test_settings_lists_every_variable(command: Command) -> None:
    done = command("settings")
    assert (done.code, done.err) == (0, "")
    for variable in variables():
        assert row(done.out, variable.name)


def test_settings_prints_default_and_current_value(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_TOP_K", "17")
    cells = [cell.strip() for cell in row(command("settings").out, "QA_TOP_K").split("│")]
    assert cells[1:-1] == ["QA_TOP_K", "1", "Number of spans in an answer", "17"]


def test_secrets_are_masked(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", PASSWORD)
    done = command("settings")
    assert PASSWORD not in done.out + done.err
    assert "*****" in row(done.out, "KAFKA_SASL_PASSWORD")


@pytest.mark.parametrize("value", ["a[bold]b", "[/x]", "\\[z]"])
def test_values_are_not_parsed_as_markup(
    command: Command, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("KAFKA_CLIENT_ID", value)
    assert f" {value} " in row(command("settings").out, "KAFKA_CLIENT_ID")
