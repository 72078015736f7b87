"""Single flight: equal events run once, in any order of completions, failures and cancellations."""

import threading
from concurrent.futures import CancelledError, Future

import pytest
from prometheus_client import REGISTRY

from schemas.answer import OffsetUnit
from schemas.question import Passage, Question, ReadingOptions
from schemas.rejection import Reason, Rejected
from tests.inference.cache.manual_engine import ManualEngine, Read, ask, question
from tests.inference.conftest import Counted
from tests.streaming.stub_engine import result_for
from worker.inference.cache.answer_cache import MAX_RUNNING, AnswerCache
from worker.inference.engine import InferenceEngine
from worker.inference.result import ReadResult
from worker.observability.timings import ReadTimings


@pytest.fixture
def engine() -> ManualEngine:
    return ManualEngine()


@pytest.fixture
def cache(engine: ManualEngine) -> AnswerCache:
    return AnswerCache(engine, max_bytes=2**20)


def test_equal_questions_run_once(engine: ManualEngine, cache: AnswerCache) -> None:
    futures = [ask(cache, id_) for id_ in "abc"]
    assert engine.submitted == 1
    engine.complete()
    futures.append(ask(cache, "d"))

    assert engine.submitted == 1
    results = [future.result(0) for future in futures]
    assert [each.outcome.id for each in results] == list("abcd")
    assert [each.timings.cache for each in results] == ["", "wait", "wait", "hit"]
    assert [[stage.name for stage in each.timings.stages] for each in results[1:]] == [
        ["cache"]
    ] * 3
    first = results[0].outcome
    for each in results:
        assert each.outcome.model_copy(update={"id": "a"}) == first


def test_metadata_and_passage_ids_are_those_of_the_record(
    engine: ManualEngine, cache: AnswerCache
) -> None:
    def asked(id_: str) -> Question:
        passage = Passage(text="Ada wrote it", id=f"p-{id_}")
        return Question(id=id_, question="Who?", contexts=[passage], metadata={"of": id_})

    events = [asked(id_) for id_ in "ab"]
    futures = [cache.submit(event, cache.key(event)) for event in events]
    event, future = engine.live[0]
    answer = result_for(question("a")).outcome
    spans = [span.model_copy(update={"context_index": 0}) for span in answer.answers]
    changed = {
        "context_index": 0,
        "context_id": "p-a",
        "answers": spans,
        "metadata": event.metadata,
    }
    future.set_result(ReadResult(answer.model_copy(update=changed), ReadTimings()))

    outcome = futures[1].result(0).outcome
    assert (outcome.id, outcome.metadata) == ("b", {"of": "b"})
    assert (outcome.context_id, outcome.answers[0].context_id) == ("p-b", "p-b")


@pytest.mark.parametrize("unit", ["code_points", "utf16", "bytes"])
def test_a_hit_is_to_the_bit_what_the_engine_gives(
    tiny_reader: InferenceEngine, unit: OffsetUnit
) -> None:
    cache = AnswerCache(tiny_reader, max_bytes=2**20)
    tiny_reader.start()
    options = ReadingOptions(top_k=4, no_answer=True, offsets=unit)
    texts = "👍 answer b", "c ö second"
    one = Question(id="1", question="a", context=texts[0], options=options)
    several = [Passage(text=text, id=f"p-{number}") for number, text in enumerate(texts)]
    forms = {"context": None, "contexts": several[:1]}, {"context": None, "contexts": several}
    for number, event in enumerate([one, *(one.model_copy(update=form) for form in forms)]):
        for id_, expected in (("1", {0: "", 1: "hit", 2: ""}[number]), ("2", "hit")):
            asked = event.model_copy(update={"id": id_})
            cached = cache.submit(asked, cache.key(asked)).result(30)
            plain = tiny_reader.submit(asked).result(30)
            assert cached.timings.cache == expected
            assert cached.outcome.model_dump_json() == plain.outcome.model_dump_json()


@pytest.mark.parametrize("reason", [Reason.MODEL_FAILED, Reason.CONTEXT_TOO_LONG])
def test_a_rejection_is_not_passed_on(
    engine: ManualEngine, cache: AnswerCache, reason: Reason
) -> None:
    first, second, third = (ask(cache, id_) for id_ in "abc")
    engine.reject(reason=reason)
    with pytest.raises(Rejected):
        first.result(0)
    assert not second.done()
    assert [event.id for event, _ in engine.live] == ["b"]
    engine.complete()
    assert (second.result(0).outcome.id, third.result(0).outcome.id) == ("b", "c")
    assert engine.submitted == 2


def test_after_a_second_rejection_several_run(engine: ManualEngine, cache: AnswerCache) -> None:
    futures = [ask(cache, str(number)) for number in range(MAX_RUNNING + 5)]
    engine.reject()
    assert len(engine.live) == 1
    engine.reject()
    assert len(engine.live) == MAX_RUNNING
    engine.reject()
    assert [event.id for event, _ in engine.live][-1] == str(MAX_RUNNING + 2)
    assert len(engine.live) == MAX_RUNNING
    engine.complete(1)
    # Its outcome is that of the two that waited; those that run go on.
    assert [each.result(0).outcome.id for each in futures[-2:]] == ["67", "68"]
    engine.reject(0)
    with pytest.raises(Rejected):
        futures[3].result(0)
    assert len(engine.live) == MAX_RUNNING - 2
    assert ask(cache, "again").result(0).timings.cache == "hit"
    while engine.live:
        engine.complete()
    assert all(each.done() for each in futures)
    assert engine.submitted == MAX_RUNNING + 3


def test_expired_questions_do_not_make_the_others_run(
    engine: ManualEngine, cache: AnswerCache
) -> None:
    """With more questions than the workers can read before their deadlines, many expire."""
    futures = [ask(cache, str(number)) for number in range(6)]
    for _ in range(3):
        engine.reject(reason=Reason.EXPIRED)
    # The newest has the most time left.
    assert [event.id for event, _ in engine.live] == ["3"]
    assert [event.id for event, _ in engine.running] == ["0", "5", "4", "3"]
    engine.complete()
    assert [future.result(0).outcome.id for future in futures[1:4]] == ["1", "2", "3"]
    assert engine.submitted == 4


def test_a_cancelled_question_leaves_its_place_to_its_twin(
    engine: ManualEngine, cache: AnswerCache
) -> None:
    first, second, third = (ask(cache, id_) for id_ in "abc")
    assert second.cancel()
    assert first.cancel()
    assert [event.id for event, _ in engine.live] == ["c"]
    assert engine.submitted == 2
    assert third.cancel()
    assert engine.live == []  # its cancel reached the engine
    ask(cache, "d")
    assert [event.id for event, _ in engine.live] == ["d"]


def test_the_work_of_many_cancellations_grows_with_their_number(
    engine: ManualEngine, cache: AnswerCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition that is closed cancels them all, on the event loop."""
    futures = [ask(cache, str(number)) for number in range(200)]
    looks = 0
    done = Future.done

    def counted(future: Read) -> bool:
        nonlocal looks
        looks += 1
        return done(future)

    monkeypatch.setattr(Future, "done", counted)
    for future in futures:
        assert future.cancel()
    assert engine.live == []
    assert looks < 10 * len(futures)


def test_a_closed_engine_cancels_what_waits(engine: ManualEngine, cache: AnswerCache) -> None:
    first, second = ask(cache, "a"), ask(cache, "b")
    engine.closed = True
    first.cancel()
    with pytest.raises(CancelledError):
        second.result(0)
    with pytest.raises(RuntimeError, match="closed"):
        ask(cache, "c")


def test_an_outcome_that_cannot_be_stored_leaves_nothing_waiting(
    engine: ManualEngine, cache: AnswerCache, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = ask(cache, "a"), ask(cache, "b")
    bad = result_for(question("a"))
    broken = ReadResult(bad.outcome.model_copy(update={"answer": "\ud800"}), bad.timings)
    engine.live[0][1].set_result(broken)
    assert first.result(0) is broken
    assert "exception calling callback" in caplog.text
    engine.complete()
    assert second.result(0).outcome.id == "b"


def test_evictions_and_bytes_are_counted(engine: ManualEngine) -> None:
    evictions = Counted("qa_cache_evictions_total")
    cache = AnswerCache(engine, max_bytes=1000)  # two answers
    for number in range(5):
        ask(cache, str(number), f"Ada{number} wrote it")
        engine.complete()
    used = REGISTRY.get_sample_value("qa_cache_bytes")
    assert used is not None
    assert 500 < used <= 1000
    assert evictions.since == 3
    for number, runs in ((4, 5), (3, 5), (0, 6)):
        ask(cache, "again", f"Ada{number} wrote it")
        assert engine.submitted == runs


@pytest.mark.long
def test_threads_that_ask_the_same_get_the_same(tiny_reader: InferenceEngine) -> None:
    cache = AnswerCache(tiny_reader, max_bytes=2000)
    tiny_reader.start()
    wrong: list[str] = []

    def asks(name: str) -> None:
        for number in range(100):
            event = Question(
                id=f"{name}-{number}", question="a", context=f"answer {'bcd'[number % 3]}"
            )
            future = cache.submit(event, cache.key(event))
            if number % 5 == 0 and future.cancel():
                continue
            if future.result(30).outcome.id != event.id:
                wrong.append(name)

    threads = [threading.Thread(target=asks, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_event_does_not_wait_for_an_equal_one_in_another_queue() -> None:
    """The other queue may be served much later. What was read is kept for both."""
    engine = ManualEngine()
    cache = AnswerCache(engine, max_bytes=10_000)
    batch = [ask(cache, f"b{n}", queue="batch") for n in range(2)]
    interactive = ask(cache, "i0", queue="interactive")
    assert engine.queues == ["batch", "interactive"]
    engine.complete(1)
    assert interactive.result(0).outcome.id == "i0"
    assert not any(each.done() for each in batch)
    assert ask(cache, "b2", queue="batch").result(0).outcome.id == "b2"
    engine.complete()
    assert [each.result(0).outcome.id for each in batch] == ["b0", "b1"]
    assert engine.submitted == 2
