"""`qa-worker dead-letters`: what `list` and `show` print, and what a replay reports."""

import asyncio
import dataclasses
import json

import pytest

from schemas.rejection import Header, Reason
from tests.cli.conftest import Command
from tests.dead_letters.records import NOW, dead_letter, post, replays
from tests.streaming.topics import Topics
from worker.cli import topic_reading
from worker.cli.dead_letters.formatting import format_time


@pytest.fixture
def three(topics: Topics) -> Topics:
    """Three dead letters: two in partition 0, one of another reason in partition 1."""
    long = dead_letter(topics, b"{" * 2_000, question=(0, 5), headers=[("qa.attempt", b"2")])
    other = dead_letter(topics, b"\xff\x00", reason=Reason.NOT_JSON, key=None, question=(1, 6))
    asyncio.run(post(topics, dead_letter(topics), long, timestamps=[NOW, NOW + 1_000]))
    asyncio.run(post(topics, other, partition=1, timestamps=[NOW + 2_000]))
    return topics


def replayed(topics: Topics) -> list[str]:
    """The positions of dead letters whose replays are in the questions topic."""

    async def read() -> list[str]:
        async with topics:
            return await replays(topics)

    return asyncio.run(read())


def cells(out: str) -> list[list[str]]:
    """Of every row of the tables, their heads left out."""
    rows = [line.split("│")[1:-1] for line in out.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row] for row in rows]


def test_list_has_rows_and_a_count_for_each_reason(command: Command, three: Topics) -> None:
    done = command("dead-letters", "list")
    assert done.code == 0
    name = three.settings.qa.questions_topic
    assert cells(done.out) == [
        ["0:0", format_time(NOW), "schema", f"{name}-0-0", "0", "1", "it is schema"],
        ["0:1", format_time(NOW + 1_000), "schema", f"{name}-0-5", "2", "2,000", "it is schema"],
        ["1:0", format_time(NOW + 2_000), "not_json", f"{name}-1-6", "0", "2", "it is not_json"],
    ]
    assert done.out.endswith("3 dead letters: 2 schema, 1 not_json\n")


def test_list_as_json_lines(command: Command, three: Topics) -> None:
    done = command("dead-letters", "list", "--json", "--partition", "0", "--offset", "1")
    assert json.loads(done.out) == {
        "partition": 0,
        "offset": 1,
        "time": format_time(NOW + 1_000),
        "reason": "schema",
        "question": {"topic": three.settings.qa.questions_topic, "partition": 0, "offset": 5},
        "attempts": 2,
        "bytes": 2_000,
        "message": "it is schema",
    }
    assert done.out.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "listed"),
    [
        (["--reason", "not_json"], ["1:0"]),
        (["--reason", "not_json", "--reason", "schema", "--limit", "2"], ["0:0", "0:1"]),
        (["--since", format_time(NOW + 1_000)], ["0:1", "1:0"]),
        (["--since", format_time(NOW + 1_000), "--until", format_time(NOW + 2_000)], ["0:1"]),
        # Without a zone it is UTC.
        (["--until", format_time(NOW + 1_000).removesuffix("Z")], ["0:0"]),
        (["--partition", "0", "--offset", "1:"], ["0:1"]),
        (["--partition", "0", "--offset", ":0"], ["0:0"]),
        (["--partition", "0", "--offset", "0:1"], ["0:0", "0:1"]),
        (["--reason", "model_failed"], []),
    ],
    # Without the times: workers of pytest-xdist must agree on the names.
    ids=["reason", "limit", "since", "until", "no zone", "from", "to", "range", "none"],
)
def test_list_applies_the_filter_options(
    command: Command, three: Topics, options: list[str], listed: list[str]
) -> None:
    done = command("dead-letters", "list", *options)
    assert [row[0] for row in cells(done.out)] == listed


def test_show_prints_all_fields(command: Command, three: Topics) -> None:
    done = command("dead-letters", "show", "0:1")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[-2:] == ["value:     2,000 bytes", "{" * 2_000]
    name = three.settings.qa.questions_topic
    for line in (
        "reason:    schema",
        f"question:  {name}-0-5",
        "attempts:  2",
        "key:       k",
        "  qa.attempt: 2",
        "  qa.reason: schema",
        f"  __connect.errors.topic: {name}",
    ):
        assert line in lines


def test_show_prints_binary_values_in_base64(command: Command, three: Topics) -> None:
    lines = command("dead-letters", "show", "1:0").out.splitlines()
    assert lines[-2:] == ["value:     2 bytes", "base64: /wA="]
    assert "key:       (none)" in lines


def test_show_tells_that_a_value_is_omitted(command: Command, topics: Topics) -> None:
    asyncio.run(post(topics, dead_letter(topics, b"x" * 3_000, shrunk=1)))
    assert command("dead-letters", "show", "0:0").out.splitlines()[-1] == (
        "value:     3,000 bytes, omitted; see the question"
    )


def test_control_characters_are_escaped(command: Command, topics: Topics) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\u202e[bold]b[/bold]\r"
    headers: list[Header] = [(evil, evil.encode())]
    asyncio.run(
        post(topics, dead_letter(topics, evil.encode(), key=evil.encode(), headers=headers))
    )
    for arguments in (("list",), ("show", "0:0")):
        done = command("dead-letters", *arguments)
        assert done.code == 0
        assert not set(done.out) & set("\x1b\x07\u202e\r")
    assert done.out.splitlines()[-1] == r"\x1b]0;title\x07\x1b[2J\u202e[bold]b[/bold]" + r"\r"


def test_texts_are_shown_as_they_are(command: Command, topics: Topics) -> None:
    text = "chr7:100:200 [bold]b[/bold] :rocket: \u200d"
    message = text.encode()
    headers: list[Header] = [("a:100:b", f"{text}\nreason:    forged\t".encode())]
    letter = dead_letter(topics, f"{text}\n\tsecond".encode(), key=message, headers=headers)
    forged = [
        (name, message if name == "__connect.errors.exception.message" else value)
        for name, value in letter.headers
    ]
    asyncio.run(post(topics, dataclasses.replace(letter, headers=forged)))
    shown = command("dead-letters", "show", "0:0").out.split("\n")
    assert f"message:   {text}" in shown
    assert f"key:       {text}" in shown
    assert rf"  a:100:b: {text}\nreason:    forged\t" in shown
    assert shown[-3:] == [text, "\tsecond", ""]
    assert json.loads(command("dead-letters", "list", "--json").out)["message"] == text
    assert cells(command("dead-letters", "list").out)[0][6] == text


@pytest.mark.parametrize("place", ["0:2", "1:9"])
def test_show_of_a_missing_offset_fails(command: Command, three: Topics, place: str) -> None:
    done = command("dead-letters", "show", place)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        f"qa-worker: no dead letter at {place} of {three.settings.qa.dead_letters_topic};"
    )


def test_show_of_a_missing_partition_fails(command: Command, three: Topics) -> None:
    done = command("dead-letters", "show", "2:0")
    assert done.code == 1
    assert done.err.endswith("has no partition 2, only 0 to 1\n")


def test_dry_run_prints_targets_and_skip_reasons(command: Command, three: Topics) -> None:
    done = command("dead-letters", "replay", "--dry-run", "--max-attempts", "2")
    assert done.code == 0
    first, poison, other, *summary = cells(done.out)
    assert first[:4] == ["0:0", "schema", "1", "1"]
    assert first[4].startswith("partition ")
    assert poison == ["0:1", "schema", "", "2,000", "skipped: max attempts reached"]
    assert other == ["1:0", "not_json", "1", "2", "partition 1"]
    assert summary == [["would be sent", "2", "0:0"], ["skipped: max attempts reached", "1", "0:1"]]
    assert replayed(three) == []


def test_replay_prints_what_it_sent_and_skipped(command: Command, three: Topics) -> None:
    done = command("dead-letters", "replay", "--limit", "1")
    assert (done.code, cells(done.out)) == (0, [["sent", "1", "0:0"]])
    done = command("dead-letters", "replay", "--reason", "schema")
    assert (done.code, cells(done.out)) == (
        0,
        [["sent", "1", "0:1"], ["skipped: already replayed", "1", "0:0"]],
    )
    name = three.settings.qa.dead_letters_topic
    assert sorted(replayed(three)) == [f"{name}-0-0", f"{name}-0-1"]


def test_replay_exits_with_1_after_permanent_skips(command: Command, topics: Topics) -> None:
    asyncio.run(post(topics, dead_letter(topics, shrunk=1, question=(0, 99)), dead_letter(topics)))
    done = command("dead-letters", "replay")
    assert (done.code, cells(done.out)) == (
        1,
        [["sent", "1", "0:1"], ["skipped: value no longer available", "1", "0:0"]],
    )


# Invalid options fail before any broker is contacted.


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--reason", "nonsense"], "'nonsense' is not one of null_value, record_too_large, "),
        (["--since", "yesterday"], "'yesterday' is not an ISO 8601 time"),
        (["--until", "2026-02-30"], "'2026-02-30' is not an ISO 8601 time"),
        (["--offset", "3"], "add --partition"),
        (["--partition", "0", "--offset", "x"], "'x' is neither an offset A nor a range A:B"),
        (["--partition", "0", "--offset", ":"], "':' is neither an offset A nor a range A:B"),
        (["--partition", "0", "--offset", ""], "'' is neither an offset A nor a range A:B"),
        (["--partition", "0", "--offset", "21:7"], "'21:7' ends before it begins"),
        (["--limit", "0"], "--limit"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("name", ["list", "replay"])
def test_invalid_options_are_refused(
    command: Command, name: str, options: list[str], complaint: str
) -> None:
    done = command("dead-letters", name, *options)
    assert (done.code, done.out) == (2, "")
    assert complaint in done.err


@pytest.mark.parametrize("place", ["3", "a:b", "1:", "-1:0", "1:2:3"])
def test_invalid_position_is_refused(command: Command, place: str) -> None:
    done = command("dead-letters", "show", "--", place)
    assert done.code == 2
    assert "is not PARTITION:OFFSET, as 3:1207" in done.err


def test_timestamps_that_are_not_dates_are_printed_as_numbers() -> None:
    assert format_time(1_700_000_000_123) == "2023-11-14T22:13:20.123Z"
    assert format_time(10**17) == "100000000000000000 ms"


def test_progress_bar_appears_only_for_long_reads(
    command: Command, three: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("dead-letters", "list").err == ""
    monkeypatch.setattr(topic_reading, "_SHOW_AFTER_SECONDS", 0.0)
    assert f"reading {three.settings.qa.dead_letters_topic} " in command("dead-letters", "list").err
