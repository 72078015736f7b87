"""Listing and replaying read on where a record or batch cannot be decoded."""

from schemas.rejection import Reason
from tests.dead_letters.records import dead_letter, post, replay
from tests.kafka.raw_batches import batch, produce, record
from tests.streaming.topics import Topics
from worker.dead_letters.dead_letter import DeadLetterFilter
from worker.dead_letters.replay import read_dead_letters
from worker.kafka.records import UnreadableBatch
from worker.kafka.topic_reader import TopicReader

MIB = 1024 * 1024
POISON = batch([record(0, b"poison", headers=[(b"na\xffme", b"v")])])
BOMB = batch([record(n, b"a" * MIB) for n in range(17)], codec="zstd")


async def test_undecodable_records_of_both_topics_do_not_end_a_replay(
    topics: Topics,
) -> None:
    qa = topics.settings.qa
    await post(topics, dead_letter(topics, b"first"))
    for each in (POISON, BOMB):
        await produce(topics.servers, qa.dead_letters_topic, 0, each)
        await produce(topics.servers, qa.questions_topic, 0, each)
    await post(topics, dead_letter(topics, b"last"))
    left_out: list[UnreadableBatch] = []
    listed = [
        (each.position.offset, each.value, each.reason)
        async for each in read_dead_letters(
            topics.settings, DeadLetterFilter(), lambda *_: None, left_out.append
        )
    ]
    (unreadable,) = left_out
    assert (unreadable.offset, unreadable.next_offset) == (2, 19)
    assert listed == [(0, b"first", "schema"), (1, b"poison", ""), (19, b"last", "schema")]
    sent = await outcomes(topics)
    assert [each.startswith("to ") for each in sent] == [True, False, True]
    assert sent[1] == "not a worker's dead letter"
    replayed = "already replayed"
    assert await outcomes(topics) == [replayed, "not a worker's dead letter", replayed]


async def outcomes(topics: Topics) -> list[str]:
    """Of a replay, in the order of the dead letters of partition 0."""
    done = [each.split(" ", 1) for each in await replay(topics)]
    return [outcome for _, outcome in sorted(done, key=lambda each: int(each[0].split(":")[1]))]


async def test_question_of_an_undecodable_record_is_replayed_if_it_was_read(
    topics: Topics,
) -> None:
    undecodable, unreadable = Reason.UNDECODABLE, Reason.UNREADABLE_BATCH
    escaped = [("na\\xffme", b"v")]
    await post(
        topics,
        dead_letter(topics, b"value", reason=undecodable, headers=escaped),
        dead_letter(topics, None, reason=undecodable),
        dead_letter(topics, None, reason=unreadable),
    )
    sent, *skipped = await outcomes(topics)
    assert sent.startswith("to ")
    assert skipped == ["the question's record could not be read"] * 2
    (again,) = await topics.records(topics.settings.qa.questions_topic)
    assert (again.value, again.headers[0]) == (b"value", escaped[0])


async def test_omitted_value_of_an_undecodable_record_is_found(topics: Topics) -> None:
    questions = topics.settings.qa.questions_topic
    offset = await produce(topics.servers, questions, 1, POISON)
    async with TopicReader.open(topics.settings) as reader:
        found = await reader.read_one(questions, 1, offset)
    assert found is not None
    assert (found.key, found.value) == (b"k", b"poison")
