"""`qa-worker answers compare` on topics that two workers have written."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from schemas.rejection import Header
from schemas.sample import in_sample
from tests.answers.events import answer_event, write_lines
from tests.cli.conftest import Command
from tests.inference.bundles import write_bundle
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess
from worker.cli import topic_reading
from worker.cli.dead_letters.formatting import format_time

SHARE = 0.5
QUESTIONS = 24


async def publish(
    topics: Topics,
    *events: dict[str, object],
    timestamp_ms: int = 1_700_000_000_000,
    headers: Sequence[Header] = (),
) -> None:
    """To the answers topic."""
    async with AIOKafkaProducer(bootstrap_servers=topics.servers) as producer:
        for each in events:
            await producer.send_and_wait(
                topics.settings.qa.answers_topic,
                json.dumps(each).encode(),
                partition=0,
                timestamp_ms=timestamp_ms,
                headers=list(headers),
            )


async def shadow_of(topics: Topics, model: Path) -> Topics:
    """Runs a worker of production and a shadow beside it, until both have read all questions.

    Returns the shadow's topics.
    """
    shadow = Topics(
        topics.servers,
        {
            "QA_QUESTIONS_TOPIC": topics.settings.qa.questions_topic,
            "QA_SAMPLE": str(SHARE),
            "QA_MODEL": str(model),
        },
    )
    await shadow.create()
    async with topics, shadow:
        await topics.send([event(number) for number in range(QUESTIONS)])
        await topics.send([b"no JSON"], partition=0)
        async with (
            WorkerProcess(topics.environment) as production,
            WorkerProcess(shadow.environment) as beside,
        ):
            await topics.committed_are(await topics.ends())
            await shadow.committed_are(await topics.ends())
            answered = sum(in_sample(f"q-{n}", SHARE) for n in range(QUESTIONS))
            assert len(await topics.answers()) == QUESTIONS
            assert len(await shadow.answers()) == answered
            left_out = await beside.metric("qa_out_of_sample_records_total")
            dead = len(await shadow.dead_letters())
            assert left_out + dead + answered == QUESTIONS + 1
            assert await production.metric("qa_out_of_sample_records_total") == 0

            async def no_lag() -> bool:
                return await beside.metric("qa_lag_records") == 0

            await until(no_lag, "the shadow's lag is 0")
    return shadow


@pytest.mark.process
def test_a_shadow_is_compared_with_production(
    command: Command, topics: Topics, tmp_path: Path
) -> None:
    shadow = asyncio.run(shadow_of(topics, write_bundle(tmp_path / "tiny")))
    left, right = topics.settings.qa.answers_topic, shadow.settings.qa.answers_topic
    sides = ("answers", "compare", "--left", left, "--right", right)
    document = json.loads(command(*sides, "--sample", str(SHARE), "--json").out)
    inside = [n for n in range(QUESTIONS) if in_sample(f"q-{n}", SHARE)]
    assert document["pairs"] == len(inside)
    assert (document["left"]["only"], document["right"]["only"]) == (0, 0)
    assert document["left"]["out_of_sample"] == QUESTIONS - len(inside)
    assert [model["name"] for model in document["left"]["models"]] == ["default"]
    assert [model["precision"] for model in document["right"]["models"]] == ["float32"]
    assert document["delay_seconds"] is not None
    done = command(*sides, "--max-differ", "0")
    assert done.code == (1 if document["differ"] else 0)
    assert f"│ {QUESTIONS - len(inside)} " in done.out, "without --sample they are on left only"


def test_a_topic_is_compared_with_a_file(command: Command, topics: Topics, tmp_path: Path) -> None:
    early, late = answer_event(1), answer_event(2)
    asyncio.run(publish(topics, early))
    asyncio.run(publish(topics, late, late, {"no": "answer"}, timestamp_ms=1_700_000_001_000))
    file = write_lines(tmp_path / "right.jsonl", [answer_event(n) for n in range(9)])
    sides = ("answers", "compare", "--left", topics.settings.qa.answers_topic, "--right", file)
    document = json.loads(command(*sides, "--json").out)
    assert (document["pairs"], document["left"]["duplicates"]) == (2, 1)
    assert document["left"]["not_answers"] == 1
    assert document["delay_seconds"] is None, "lines have no timestamp"
    since = format_time(1_700_000_000_500)
    assert json.loads(command(*sides, "--json", "--since", since).out)["pairs"] == 1


def test_an_unsure_question_is_joined_where_it_was_asked_first(
    command: Command, topics: Topics, tmp_path: Path
) -> None:
    sent_on = {**answer_event(5), "source": {"topic": "qa.unsure", "partition": 1, "offset": 0}}
    headers: list[Header] = [
        ("qa.unsure.topic", b"qa.questions"),
        ("qa.unsure.partition", b"0"),
        ("qa.unsure.offset", b"5"),
    ]
    asyncio.run(publish(topics, sent_on, headers=headers))
    file = write_lines(tmp_path / "right.jsonl", [answer_event(5)])
    sides = ("answers", "compare", "--left", topics.settings.qa.answers_topic, "--right", file)
    assert json.loads(command(*sides, "--json").out)["pairs"] == 1


def test_a_missing_topic_is_one_line(command: Command, topics: Topics) -> None:
    name = topics.settings.qa.answers_topic
    done = command("answers", "compare", "--left", name, "--right", "no-such-topic")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"qa-worker: no topic and no file no-such-topic: {topics.servers} "
        f"(KAFKA_BOOTSTRAP_SERVERS) has no such topic\n"
    )


def test_reading_shows_a_bar_for_each_topic(
    command: Command, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(publish(topics, answer_event(1)))
    name = topics.settings.qa.answers_topic
    monkeypatch.setattr(topic_reading, "_SHOW_AFTER_SECONDS", 0.0)
    done = command("answers", "compare", "--left", name, "--right", name)
    assert done.code == 0
    assert f"reading {name} " in done.err
