"""One partition has a backlog, another one a question now and then: on a broker."""

from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until

BACKLOG, OTHERS = 1000, 5
IN_FLIGHT = 10


async def test_a_backlog_does_not_delay_another_partition(topics: Topics, running: Running) -> None:
    engine = StubEngine(holds=lambda _: True, tokens_each=1)
    settings = topics.with_(QA_MAX_IN_FLIGHT_TOKENS=str(IN_FLIGHT))
    await topics.send([event(n) for n in range(BACKLOG)], partition=0)
    late = {f"Who is number {BACKLOG + n}?" for n in range(OTHERS)}
    async with running(settings, engine):
        await until(lambda: len(engine.held) >= IN_FLIGHT, "the backlog uses all capacity")
        await topics.send([event(BACKLOG + n) for n in range(OTHERS)], partition=1)
        while not late <= set(engine.seen):
            # The client has fetched the whole backlog at once: without turns it comes first.
            assert len(engine.seen) < BACKLOG / 2
            engine.release(next(iter(engine.held)))
            await until(lambda: len(engine.held) >= IN_FLIGHT, "the next record is admitted")
        engine.release_all()
        await until(lambda: topics.has(BACKLOG + OTHERS), "all are answered")
    assert sorted(await topics.ids()) == sorted(f"q-{n}" for n in range(BACKLOG + OTHERS))
