"""Topics that the worker creates on a broker, and their limits."""

from tests.streaming.topics import Topics
from worker.kafka.topic_requirements import check_topics
from worker.kafka.topics import create_topics, describe_topics


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
