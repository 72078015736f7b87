"""Events of several queues on one engine."""

from collections.abc import Iterator

import pytest

from schemas.question import Question
from tests.inference.conftest import Counted
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.models.bundle import Bundle


@pytest.fixture
def engine(tiny_bundle: Bundle, tiny_defaults: InferenceOptions) -> Iterator[InferenceEngine]:
    """Not started."""
    engine = InferenceEngine(tiny_bundle, tiny_defaults, weights={"interactive": 8, "batch": 1})
    yield engine
    engine.close()


def question(queue: str, number: int) -> Question:
    return Question(id=f"{queue}-{number}", question="a", context="b c d " * 20)


def test_a_backlog_of_one_queue_does_not_delay_another(engine: InferenceEngine) -> None:
    done: list[str] = []
    futures = []
    for queue, count in (("batch", 300), ("interactive", 3)):
        for number in range(count):
            future = engine.submit(question(queue, number), queue=queue)
            future.add_done_callback(lambda _, queue=queue: done.append(queue))  # type: ignore[misc]
            futures.append(future)
    engine.start()
    for number, future in enumerate(futures):
        queue, index = ("batch", number) if number < 300 else ("interactive", number - 300)
        assert future.result(30).outcome.id == f"{queue}-{index}"
    # One batch of the backlog may come first, of at most 1,024 tokens.
    last = len(done) - done[::-1].index("interactive")
    assert last < 30


def test_pending_tokens_are_counted_by_queue(engine: InferenceEngine) -> None:
    batch = engine.submit(question("batch", 0), queue="batch")
    interactive = [engine.submit(question("interactive", n), queue="interactive") for n in (0, 1)]
    assert engine.pending_tokens_of("interactive") == 2 * engine.pending_tokens_of("batch") > 0
    assert engine.pending_tokens == 3 * engine.pending_tokens_of("batch")
    interactive[0].cancel()
    assert engine.pending_tokens_of("interactive") == engine.pending_tokens_of("batch")
    counted = {name: Counted("qa_queue_tokens_total", queue=name) for name in ("batch", "other")}
    engine.start()
    assert batch.result(30).outcome.windows == interactive[1].result(30).outcome.windows
    engine.close()
    assert engine.pending_tokens_of("interactive") == engine.pending_tokens_of("batch") == 0
    assert counted["batch"].since > 60
    assert counted["other"].since == 0


def test_closing_cancels_what_waits_in_each_queue(engine: InferenceEngine) -> None:
    futures = [engine.submit(question(name, 0), queue=name) for name in ("batch", "interactive")]
    engine.close()
    assert all(future.cancelled() for future in futures)
