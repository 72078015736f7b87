"""Any order of questions, answers, rejections and cancellations in the answer cache."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from schemas.rejection import Reason
from tests.examples import shared
from tests.inference.cache.manual_engine import ManualEngine, Read, ask
from worker.inference.cache import answer_cache
from worker.inference.cache.answer_cache import AnswerCache


class SingleFlight(RuleBasedStateMachine):
    """Any order of questions, answers, rejections and cancellations."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(answer_cache, "MAX_RUNNING", 2)
        self.engine = ManualEngine()
        self.cache = AnswerCache(self.engine, max_bytes=700)
        self.asked: list[tuple[str, str, Read]] = []
        self.cancelled: set[str] = set()

    @rule(context=st.sampled_from(["Ada wrote it", "Bob wrote it", "Eve wrote it"]))
    def ask(self, context: str) -> None:
        id_ = str(len(self.asked))
        self.asked.append((id_, context, ask(self.cache, id_, context)))

    @precondition(lambda self: self.engine.live)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        self.engine.complete(data.draw(st.integers(0, len(self.engine.live) - 1)))

    @precondition(lambda self: self.engine.live)
    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        reason = data.draw(st.sampled_from([Reason.MODEL_FAILED, Reason.EXPIRED]))
        self.engine.reject(data.draw(st.integers(0, len(self.engine.live) - 1)), reason)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        id_, _, future = data.draw(st.sampled_from(self.asked))
        if future.cancel():
            self.cancelled.add(id_)

    @invariant()
    def every_answer_is_that_of_its_question(self) -> None:
        for id_, context, future in self.asked:
            assert future.cancelled() == (id_ in self.cancelled)
            if future.done() and not future.cancelled() and future.exception() is None:
                outcome = future.result().outcome
                assert (outcome.id, outcome.answer) == (id_, context.split()[0])

    @invariant()
    def what_waits_has_an_equal_event_that_runs(self) -> None:
        running = {event.context for event, _ in self.engine.live}
        assert {context for _, context, future in self.asked if not future.done()} == running

    def teardown(self) -> None:
        while self.engine.live:
            self.engine.complete()
        self.patch.undo()
        assert all(future.done() for _, _, future in self.asked)


TestSingleFlight = SingleFlight.TestCase
TestSingleFlight.settings = settings(max_examples=shared(60))
