"""The lines that `qa-worker read` takes: encodings, ids, numbers, and what is not JSON Lines."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.cli.event_files import line, outcomes

pytestmark = pytest.mark.usefixtures("tiny_model")


def test_rejected_lines_keep_their_ids_and_numbers(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    own = [
        "keep",
        17,
        1.5,
        10**300,
        "",
        None,
        True,
        ["x"],
        {"x": 1},
        "é\u202e",
    ]
    lines = [json.dumps({"id": name, "question": " ", "context": "b"}) for name in own]
    lines += [
        '{"id": "\\ud83d", "question": "a", "context": "b"}',
        '{"input_data": {"id": "azure", "question": " ", "context": "b"}}',
        '{"specversion": "1.0", "id": "event", "data": {"question": " ", "context": "b"}}',
        '{"specversion": "1.0", "id": "event", "data": {"id": "data", "question": " "}}',
        '["id"]',
        "[" * 9_999,
        '{"id": ' + "9" * 5_000 + "}",
    ]
    file.write_text("\n\n".join(lines), "utf-8")
    assert command("read", file).code == 1
    written = outcomes(file.with_suffix(".answers.jsonl"))
    assert [outcome["line"] for outcome in written] == [2 * n + 1 for n in range(len(lines))]
    assert all(outcome["rejected"]["reason"] in ("schema", "not_json") for outcome in written)
    ids = [outcome["id"] for outcome in written]
    assert ids[:4] == ["keep", 17, 1.5, 10**300]
    assert ids[4:9] == [f"line-{n}" for n in (9, 11, 13, 15, 17)]
    assert ids[9:] == [
        "é\u202e",
        "line-21",
        "azure",
        "event",
        "data",
        "line-29",
        "line-31",
        "line-33",
    ]


@pytest.mark.parametrize("rejected", [0, 1, 2])
def test_read_exits_with_1_if_a_line_is_rejected(
    command: Command, tmp_path: Path, rejected: int
) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text("\n".join([line(question=" ")] * rejected + [line()] * (2 - rejected)))
    for _ in range(2):  # in this run, or before
        done = command("read", file)
        assert done.code == (1 if rejected else 0)
        said = (
            f"{rejected} of 2 events are rejected, the first in line 1: schema: question: is blank"
        )
        assert (said in done.err) is (rejected > 0)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfONE\nTWO\n",
        b"ONE\r\nTWO\r\n",
        b"ONE\r\nTWO",
        b"ONE \nTWO\n\n",
    ],
    ids=["byte order mark", "carriage returns", "no last line feed", "spaces"],
)
def test_shapes_of_json_lines(command: Command, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "in.jsonl"
    # U+2028 ends no line.
    one, two = line(id="one").encode(), line(id="two", context="b\u2028answer").encode()
    file.write_bytes(content.replace(b"ONE", one).replace(b"TWO", two))
    assert command("read", file).code == 0
    assert [each["id"] for each in outcomes(file.with_suffix(".answers.jsonl"))] == ["one", "two"]


@pytest.mark.parametrize("document", [[{"question": "a"}] * 2, {"question": "a"}])
def test_one_json_document_on_several_lines_is_refused(
    command: Command, tmp_path: Path, document: Any
) -> None:
    file = tmp_path / "in.json"
    file.write_text(json.dumps(document, indent=2))
    said = f"qa-worker: {file} is one JSON document, not JSON Lines; write each event on a line"
    done = command("read", file)
    assert (done.code, done.err) == (1, f"{said} of its own\n")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_other_encodings_are_refused(command: Command, tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(line(), encoding)
    done = command("read", file)
    assert done.code == 1
    assert done.err == f"qa-worker: {file} is {encoding.upper()}; convert it to UTF-8\n"
    assert not file.with_suffix(".answers.jsonl").exists()
