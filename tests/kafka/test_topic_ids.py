"""Topics that were deleted, or deleted and created again. Pure."""

from types import SimpleNamespace

import pytest

from worker.kafka.errors import StreamingError
from worker.kafka.topic_ids import DELETED, TopicIds, read_topic_ids


def known() -> TopicIds:
    return TopicIds("cluster", {"q": "id-q", "a": "id-a"})


def test_the_same_ids_are_accepted() -> None:
    ids = known()
    for _ in range(5):
        ids.check({"q": "id-q", "a": "id-a"})


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (DELETED, r"topic a was deleted while the worker ran: create it"),
        ("id-b", r"topic a was deleted and created again .*id id-a, now id-b"),
    ],
)
def test_a_topic_that_differs_twice_in_a_row_ends_the_worker(now: str, message: str) -> None:
    ids = known()
    ids.check({"a": now})
    with pytest.raises(StreamingError, match=message):
        ids.check({"a": now})


def test_one_broker_with_old_metadata_ends_nothing() -> None:
    ids = known()
    for _ in range(3):
        ids.check({"a": DELETED, "q": "id-q"})
        ids.check({"a": "id-a", "q": "id-q"})
    # Deleted, then created again: both are seen once.
    ids.check({"a": DELETED})
    ids.check({"a": "id-b"})


def test_a_topic_without_an_id_is_not_checked() -> None:
    ids = TopicIds("cluster", {})
    for _ in range(3):
        ids.check({"q": "id-q"})
        ids.check({"q": "id-r"})
    assert ids.offset_metadata("q") == ""


def test_ids_read_as_kafka_prints_them() -> None:
    topics: list[tuple[object, ...]] = [
        (0, "q", -2, -1, False, [], 0, {}),
        (3, "a", 0, 0, False, [], 0, {}),
        (29, "not-authorized", 0, 0, False, [], 0, {}),
    ]
    ids = read_topic_ids(SimpleNamespace(topics=topics))
    # Java: new Uuid(-2, -1).toString()
    assert ids == {"q": "__________7__________w", "a": DELETED}
