"""A second questions topic beside that of `Topics`, in the same group."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.streaming.topics import Topics

NO_ENVIRONMENT: Mapping[str, str] = {}


@asynccontextmanager
async def two_topics(
    servers: str, environment: Mapping[str, str] = NO_ENVIRONMENT, weights: tuple[int, int] = (8, 1)
) -> AsyncIterator[tuple[Topics, Topics]]:
    """Yields the first, whose settings name both topics, and the second, whose settings name only
    that one: for sending to it and for its offsets.
    """
    async with Topics(servers, dict(environment)) as first:
        name = first.settings.qa.questions_topic
        second = f"{name}-batch"
        alone = {**first.environment, "QA_QUESTIONS_TOPIC": second}
        first.environment["QA_QUESTIONS_TOPICS"] = f"{name}:{weights[0]},{second}:{weights[1]}"
        await first.create()
        async with Topics(servers, alone) as other:
            yield first, other
