"""Bad records, each between good ones, with the real model on a broker."""

import json
import struct
from dataclasses import dataclass
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from tests.brokers.protocol import Broker
from tests.schemas.valid import faults, published
from tests.streaming.topics import Topics, until
from tests.streaming.worker_process import WorkerProcess
from worker.kafka.topics import create_topics

pytestmark = pytest.mark.process

MAX_RECORD = 1_000_000
CONTEXT = "The mill was built by Tomas Verhoeven in 1911."


def _json(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def _good(**more: object) -> bytes:
    return _json(question="Who built the mill?", context=CONTEXT, **more)


@dataclass(frozen=True)
class Bad:
    what: str
    value: bytes | None
    reason: str
    headers: tuple[tuple[str, bytes], ...] = ()


BAD = (
    Bad("no value", None, "null_value"),
    Bad("empty value", b"", "not_json"),
    Bad("text", b"Who built the mill?", "not_json"),
    Bad("cut-off JSON", _good()[:-5], "not_json"),
    Bad("two documents", _good() + _good(), "not_json"),
    Bad("NaN", b'{"question": "q", "context": "c", "metadata": {"x": NaN}}', "not_json"),
    Bad(
        "-Infinity", b'{"question": "q", "context": "c", "metadata": {"x": -Infinity}}', "not_json"
    ),
    Bad("number out of range", b'{"question":"q","context":"c","metadata":{"x":1e999}}', "schema"),
    Bad("100,000 brackets", b"[" * 100_000, "not_json"),
    Bad(
        "deep metadata",
        _good()[:-1] + b',"metadata":' + b'{"a":' * 500 + b"1" + b"}" * 501,
        "not_json",
    ),
    Bad("lone surrogate", b'{"question": "Who is \\ud800?", "context": "c"}', "not_json"),
    Bad("Latin-1", '{"question": "Où?", "context": "c"}'.encode("latin-1"), "not_json"),
    Bad("UTF-16", _good().decode().encode("utf-16"), "not_json"),
    Bad("byte order mark", b"\xef\xbb\xbf" + _good(), "not_json"),
    Bad("Avro-like binary", b"\x00" + struct.pack(">i", 7) + bytes(range(256)), "not_json"),
    Bad("a number", b"42", "schema"),
    Bad("a list", b"[]", "schema"),
    Bad("null", b"null", "schema"),
    Bad("empty object", b"{}", "schema"),
    Bad("no context", _json(question="Who?"), "schema"),
    Bad("no question", _json(context=CONTEXT), "schema"),
    Bad("empty question", _json(question="", context=CONTEXT), "schema"),
    Bad("blank question", _json(question=" \t\n", context=CONTEXT), "schema"),
    Bad("unreadable question", _json(question="\u200b\u0000", context=CONTEXT), "schema"),
    Bad("empty context", _json(question="Who?", context=""), "schema"),
    Bad("question is a number", _json(question=5, context=CONTEXT), "schema"),
    Bad("context is a list", _json(question="Who?", context=[CONTEXT]), "schema"),
    Bad("context is null", _json(question="Who?", context=None), "schema"),
    Bad("id is a number", _good(id=17), "schema"),
    Bad("empty id", _good(id=""), "schema"),
    Bad("metadata is a list", _good(metadata=[]), "schema"),
    Bad("options is text", _good(options="top_k=3"), "schema"),
    Bad("top_k is text", _good(options={"top_k": "3"}), "schema"),
    Bad("top_k is 0", _good(options={"top_k": 0}), "schema"),
    Bad("top_k is true", _good(options={"top_k": True}), "schema"),
    Bad("top_k is 1000", _good(options={"top_k": 1000}), "option_out_of_range"),
    Bad(
        "100,000 answer tokens", _good(options={"max_answer_tokens": 10**5}), "option_out_of_range"
    ),
    Bad("500-token question", _json(question="why " * 500, context=CONTEXT), "question_too_long"),
    Bad(
        "context of 200,000 tokens",
        _json(question="Who?", context="a " * 200_000),
        "context_too_long",
    ),
    Bad("2 MB of context", _json(question="Who?", context="word " * 400_000), "record_too_large"),
    Bad("CloudEvents 0.3", _json(specversion="0.3", id="1", data={}), "schema"),
    Bad("CloudEvent without id", _json(specversion="1.0", data={"question": "q"}), "schema"),
    Bad("binary CloudEvent of version 2", _good(), "schema", (("ce_specversion", b"2.0"),)),
    Bad(
        "a batch of CloudEvents",
        b"[" + _json(specversion="1.0", id="1", data={}) + b"]",
        "schema",
        (("content-type", b"application/cloudevents-batch+json"),),
    ),
)

# Unusual but valid questions: the answer to each lies in its context.
ODD = {
    "[CLS] and [SEP] in the text": _json(
        question="Who built the [SEP] mill? [CLS]", context=f"[CLS] {CONTEXT} [SEP] [MASK] [PAD]"
    ),
    "unknown fields": _good(extra={"x": 1}, version=9),
    "a duplicate key": b'{"question": "x", "question": "Who built the mill?", "context": "'
    + CONTEXT.encode()
    + b'"}',
    "an emoji from a surrogate pair": _json(
        question="Who built the mill \U0001f3ed?", context=CONTEXT
    ),
    "control characters": _json(
        question="Who built\u0000 the mill?", context=f"\u0007{CONTEXT}\u001b"
    ),
    "right to left": _json(question="مَن بنى؟", context="بنى المطحنة توماس فيرهوفن عام 1911."),
    "a number of 60 digits": _good(metadata={"n": int("9" * 60)}),
    "Azure ML": _json(input_data={"question": "Who built the mill?", "context": CONTEXT}),
}


async def test_bad_records_become_dead_letters_and_others_answers(
    broker: Broker,
) -> None:
    environment = {"QA_MAX_RECORD_BYTES": str(MAX_RECORD), "QA_NO_ANSWER": "false"}
    async with Topics(broker.bootstrap_servers, environment, partitions=1) as topics:
        await _create_for_3_mb(topics)
        for number, bad in enumerate(BAD):
            await topics.send([_good(id=f"before-{number}")], headers=())
            await topics.send([bad.value], key=b"key-%d" % number, headers=bad.headers)
        await topics.send(list(ODD.values()))
        total = 2 * len(BAD) + len(ODD)
        async with WorkerProcess(topics.environment) as worker:

            async def all_committed() -> bool:
                return (await topics.committed())[0] == total

            await until(all_committed, "everything is committed")
            assert not worker.events("session_failed")
        dead_letters = await topics.dead_letters()
        answers = [json.loads(record.value) for record in await topics.answers()]
        _show(dead_letters)
        for number, (bad, dead_letter) in enumerate(zip(BAD, dead_letters, strict=True)):
            headers = dict(dead_letter.headers)
            assert headers["qa.reason"].decode() == bad.reason, bad.what
            assert dead_letter.value == bad.value, bad.what
            assert dead_letter.key == b"key-%d" % number
            assert headers["__connect.errors.offset"] == str(2 * number + 1).encode()
            assert headers["__connect.errors.exception.message"], bad.what
            assert all(headers[name] == text for name, text in bad.headers)
            texts = {name: text.decode() for name, text in headers.items()}
            assert faults(published("dead-letter-headers"), texts) == []
        assert [answer["id"] for answer in answers[: len(BAD)]] == [
            f"before-{number}" for number in range(len(BAD))
        ]
        assert {answer["answer"] for answer in answers[: len(BAD)]} == {"Tomas Verhoeven"}
        assert len(answers) == len(BAD) + len(ODD)
        assert [faults(published("answer"), answer) for answer in answers] == [[]] * len(answers)
        for value, answer in zip(ODD.values(), answers[len(BAD) :], strict=True):
            document = json.loads(value)
            context = document.get("input_data", document)["context"]
            assert context[answer["start"] : answer["end"]] == answer["answer"] != ""


async def _create_for_3_mb(topics: Topics) -> None:
    # The topics accept larger records than the worker.
    larger = topics.with_(QA_MAX_RECORD_BYTES=str(3_000_000))
    await create_topics(larger, partitions=topics.partitions, replication=1)


def _show(dead_letters: list[Any]) -> None:
    table = Table("Bad record", "Reason", "Bytes", "Untouched", "Message")
    for bad, dead_letter in zip(BAD, dead_letters, strict=False):
        headers = dict(dead_letter.headers)
        value: bytes | None = dead_letter.value
        message = headers["__connect.errors.exception.message"].decode()
        table.add_row(
            bad.what,
            headers["qa.reason"].decode(),
            "-" if value is None else f"{len(value):,}",
            "yes" if value == bad.value else "NO",
            message[:70],
        )
    Console(width=160).print(table, markup=False)
