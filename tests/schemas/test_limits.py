"""Hostile values: each is decoded or rejected in a CPU time that only a quadratic parser exceeds
(the slowest takes 0.2 s).
"""

import base64
import contextlib
import json
import time
from collections.abc import Callable

import pytest

from schemas.answer import Answer, ModelInfo
from schemas.envelope import Envelope, decode_event, encode_outcome
from schemas.question import Question
from schemas.rejection import Reason, Rejected

MAX_BYTES = 1024 * 1024
SIZE = MAX_BYTES // 4
SECONDS = 3.0
"""CPU time of this thread."""


def opened(value: bytes, max_bytes: int = MAX_BYTES) -> Envelope[Question]:
    return decode_event(Question, value, [], default_id="t-0-0", max_bytes=max_bytes)


def reason(value: bytes, max_bytes: int = MAX_BYTES) -> Reason:
    with pytest.raises(Rejected) as caught:
        opened(value, max_bytes)
    return caught.value.reason


def question(metadata: bytes) -> bytes:
    return b'{"question":"q","context":"c","metadata":{"m":' + metadata + b"}}"


def in_cloud_event(data: bytes) -> bytes:
    encoded = base64.b64encode(data).decode()
    return json.dumps({"specversion": "1.0", "id": "e", "data_base64": encoded}).encode()


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def full(opening: bytes, item: bytes, closing: bytes) -> bytes:
    """A question whose metadata has as many items as fit in `SIZE` bytes."""
    count = (SIZE - len(question(opening + closing))) // (len(item) + 1)
    return question(opening + b",".join([item] * count) + closing)


def back(envelope: Envelope[Question]) -> object:
    """The metadata, after encoding an answer and parsing it again."""
    model = ModelInfo(name="m", sha256="0" * 64, precision="float32")
    answer = Answer(
        id="a",
        answer="c",
        score=1.0,
        start=0,
        end=1,
        answered=True,
        answers=[],
        model=model,
        windows=1,
        metadata=envelope.event.metadata,
    )
    value, _ = encode_outcome(answer, envelope.mode, [], source="/t")
    document = json.loads(value)
    return document.get("data", document)["metadata"]["m"]


def test_size_is_checked_first() -> None:
    assert reason(b"[" * 11, max_bytes=10) is Reason.RECORD_TOO_LARGE
    assert reason(b"[" * 10, max_bytes=10) is Reason.NOT_JSON


@pytest.mark.parametrize("wrap", [bytes, in_cloud_event], ids=["plain", "CloudEvent"])
def test_nesting_limit_and_round_trip(
    wrap: Callable[[bytes], bytes],
) -> None:
    for depth in (250, 100_000):
        assert reason(wrap(question(nested(depth)))) is Reason.NOT_JSON
    assert back(opened(wrap(question(nested(150))))) == json.loads(nested(150))


def test_number_length_limit_and_round_trip() -> None:
    # Turning digits into a number takes quadratic time; Python's own limit is 4300.
    for digits in (4301, 1_000_000):
        assert reason(question(b"1" * digits)) is Reason.NOT_JSON
        assert reason(question(b"-" + b"1" * digits)) is Reason.NOT_JSON
    assert back(opened(question(b"1" * 4300))) == int("1" * 4300)


@pytest.mark.long
@pytest.mark.parametrize(
    "value",
    [
        b"[" * SIZE,
        b'{"a":' * (SIZE // 5),
        in_cloud_event(b"[" * (SIZE * 3 // 4 - 100)),
        b'{"input_data":' * (SIZE // 14),
        full(b"[", b"[]", b"]"),
        full(b"[", b"{}", b"]"),
        full(b"[", b"1" * 4000, b"]"),
        full(b"{", b'"a":0', b"}"),
        full(b"[", b'"\\u0041"', b"]"),
        question(b"{" + b",".join(b'"%d":0' % n for n in range(20_000)) + b"}"),
        question(b"0." + b"1" * (SIZE - 60)),
        b'{"question":"' + b"?" * (SIZE - 32) + b'","context":"c"}',
    ],
    ids=lambda value: f"{value[:24]!r}",
)
def test_cpu_time_of_a_large_value(value: bytes) -> None:
    assert SIZE * 0.6 < len(value) <= SIZE
    began = time.thread_time()
    with contextlib.suppress(Rejected, KeyError):
        back(opened(value))
    assert time.thread_time() - began < SECONDS
