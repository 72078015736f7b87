"""Topics that the worker creates on a broker, and their limits."""

import pytest

from tests.streaming.topics import Topics, until
from worker.kafka.errors import StreamingError
from worker.kafka.topic_requirements import check_topics
from worker.kafka.topics import create_topics, describe_topics
from worker.settings import Settings


async def test_creating_existing_topics_succeeds(topics: Topics) -> None:
    outcome = await create_topics(topics.settings, partitions=2, replication=1)
    assert set(outcome.values()) == {"exists"}
    described = await describe_topics(topics.settings)
    assert [topic.partitions for topic in described] == [2, 2, 2]


async def test_dead_letters_topic_accepts_the_largest_question(topics: Topics) -> None:
    """The dead letter of the largest question also has headers."""
    limits = (await check_topics(topics.settings)).limits
    qa = topics.settings.qa
    assert limits[qa.dead_letters_topic] > limits[qa.questions_topic] > qa.max_record_bytes


async def test_the_topic_of_unsure_questions_is_created_and_checked_with_the_others(
    topics: Topics,
) -> None:
    settings = topics.with_(QA_UNSURE_TOPIC=f"{topics.settings.qa.questions_topic}-unsure")
    with pytest.raises(StreamingError, match=r"no topic .*-unsure on "):
        await check_topics(settings)
    outcome = await create_topics(settings, partitions=2, replication=1)
    assert list(outcome.values()) == ["exists", "exists", "exists", "created"]
    await until(lambda: _exists(settings), "the broker describes the topic")
    limits = (await check_topics(settings)).limits
    assert limits[settings.qa.unsure_topic or ""] == limits[settings.qa.dead_letters_topic]


async def _exists(settings: Settings) -> bool:
    return all(topic.partitions for topic in await describe_topics(settings))
