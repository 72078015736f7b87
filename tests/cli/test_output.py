"""What commands print: exact for programs; as it is, with control characters escaped, for people.

The first tests search the source: every command writes through `worker/cli/terminal.py`.
"""

import ast
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import worker
from tests.cli.conftest import Command
from tests.cli.output import rows
from worker import cli
from worker.cli import settings, terminal
from worker.cli.errors import CommandError
from worker.cli.terminal import Table, progress

ROOT = Path(worker.__file__).parent
USES_RICH = {"cli/terminal.py", "kafka/cached_jdk.py", "kafka/kafka_distribution.py"}
SHORTCODES = "The variant is at chr7:100:200, not at urn:key:lock, :rocket: [bold]b[/bold]."
EVIL = "The note \x1b]0;owned\x07was \x1b[2Jwritten by \x9b31mMara\x1b[0m \u202eLind\u202c in May."
CONTROLS = set("\x1b\x07\x9b\u202e\u202c\r")


def modules() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def test_only_these_modules_import_rich() -> None:
    found = set()
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                imported = [f"{node.module}.{each.name}" for each in node.names]
            elif isinstance(node, ast.Import):
                imported = [each.name for each in node.names]
            else:
                continue
            # An integer's type.
            imported = [each for each in imported if each != "rich.progress.TaskID"]
            if any(each.startswith("rich.") or each == "rich" for each in imported):
                found.add(name)
    assert found == USES_RICH


def test_every_console_prints_texts_as_they_are() -> None:
    calls = [
        {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        for name, tree in modules()
        if name in USES_RICH
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Console", "TextColumn")
    ]
    assert len(calls) >= 4
    assert all(call["markup"] == "False" for call in calls)
    assert all(call["emoji"] == "False" for call in calls if "stderr" in call)


@pytest.mark.long
def test_commands_write_through_the_terminal_module_only() -> None:
    direct = {"print", "typer.echo", "typer.secho", "click.echo", "sys.stdout", "sys.stderr"}
    unescaped = {"out", "err"}
    found = []
    for name, tree in modules():
        if name == "cli/terminal.py" or not name.startswith("cli/"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in direct:
                found.append(f"{name}:{node.lineno}")
            if isinstance(node, ast.ImportFrom) and node.module == "worker.cli.terminal":
                found += [name for each in node.names if each.name in unescaped]
    assert found == []


def test_table_shows_texts_and_escapes_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table("A", "B", title=":bug:\x1b")
    table.add_row(SHORTCODES, "")
    table.add_row("", EVIL)
    table.add_row("two\nlines", "")
    table.print()
    shown = capsys.readouterr().out
    words = " ".join(word for word in shown.split() if word != "│")
    assert SHORTCODES in words
    assert r"\x1b]0;owned\x07was \x1b[2Jwritten by \x9b31mMara\x1b[0m \u202eLind" in words
    assert r":bug:\x1b" in words
    assert r"two\nlines" in words
    assert not set(shown) & CONTROLS


@pytest.mark.parametrize("width", [20, 40, 140])
def test_a_narrow_table_cuts_nothing_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(terminal.out, "width", width)
    word = "/a/long/path/without/spaces-" * 4
    for table in (Table("Name", "Path", unbroken={"Name"}), Table()):
        table.add_row("QA_A_NAME_THAT_IS_COPIED", word)
        table.print()
        lines = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
        columns = ["".join(line[number].strip() for line in lines) for number in (1, 2)]
        assert columns == ["QA_A_NAME_THAT_IS_COPIED", word]


def test_progress_shows_its_description_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as bar:
        bar.add_task("reading a:b:c [red]:100:", speed=":bug:")
    shown = capsys.readouterr().err
    assert "reading a:b:c [red]:100:" in shown
    assert ":bug:" in shown


def test_ask_json_has_the_characters_of_the_context(command: Command, tiny_model: Path) -> None:
    context = f"{SHORTCODES} {EVIL}"
    done = command("ask", "--question", "a", "--context", context, "--json", "--top-k", "20")
    answer = json.loads(done.out)
    assert done.out.count("\n") == 1
    assert not set(done.out) & CONTROLS
    for span in answer["answers"]:
        assert context[span["start"] : span["end"]] == span["answer"]


def test_ask_shows_the_context_with_escapes(command: Command, tiny_model: Path) -> None:
    done = command("ask", "--question", "a", "--context", f"\x1b[31m answer :100: {EVIL}")
    shown = " ".join(done.out.split())
    assert r"\x1b[31m ▸answer◂ :100: The note \x1b]0;owned\x07was" in shown
    assert not set(done.out) & CONTROLS


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", "--question", "\x1b[2J ", "--context", ""),
        ("read", "\x1b[2J\r.jsonl"),
        ("model", "info", "\x1b[2J\r"),
        ("model", "info", "a/\x1b[2J\r"),
        ("dead-letters", "show", "\x1b[2J\r"),
        ("\x1b[2J\r",),
        ("settings", "--\x1b[2J\r"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]).encode("unicode_escape").decode(),
)
def test_error_lines_escape_control_characters(
    command: Command, arguments: tuple[str, ...]
) -> None:
    done = command(*arguments)
    assert done.code != 0
    assert done.err.startswith("qa-worker: ")
    assert done.err.count("\n") == 1
    assert not set(done.err) & CONTROLS


def test_error_lines_show_shortcodes_and_brackets(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise CommandError("no topic chr7:100:200 [red]\x1b[2J")

    monkeypatch.setattr(settings, "load", fail)
    assert command("settings").err == "qa-worker: no topic chr7:100:200 [red]\\x1b[2J\n"


def test_settings_show_values_as_they_are(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_GROUP_ID", "a:100:b [red]\x1b[2J")
    assert r"a:100:b [red]\x1b[2J" in command("settings").out


def test_settings_check_escapes_the_problems(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_LOG_FORMAT", "\x1b[2J:100:")
    done = command("settings", "--check")
    assert done.code == 1
    assert not set(done.out) & CONTROLS


def test_evaluate_shows_the_file_name_as_it_is(
    command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "a:100:b[red]\x1b[2J.json"
    entry = {"id": "1", "question": "a", "answers": [{"text": "answer"}]}
    document = {"data": [{"paragraphs": [{"context": "b answer", "qas": [entry]}]}]}
    file.write_text(json.dumps(document))
    done = command("evaluate", file)
    assert rows(done.out)["EM"] == "100.0000"
    assert r"a:100:b[red]\x1b[2J.json" in "".join(done.out.split())


def test_stdout_without_unicode_ends_in_no_traceback(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    context = "naïve answer 東京"
    with pytest.raises(SystemExit) as ended:
        cli.main(["ask", "--question", "a", "--context", context])
    with pytest.raises(SystemExit):
        cli.main(["ask", "--question", "a", "--context", context, "--json"])
    assert ended.value.code == 0
    table, _, document = raw.getvalue().rpartition(b"\n{")
    assert rb"na\xefve" in table
    # JSON is UTF-8 whatever the locale says.
    assert json.loads(b"{" + document)["answer"] == "answer"


@pytest.mark.process
@pytest.mark.parametrize("arguments", [["settings"], ["settings", "--check"], ["--version"]])
def test_a_closed_pipe_ends_a_command_in_silence(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "worker", *arguments],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
