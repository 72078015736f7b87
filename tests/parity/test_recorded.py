"""The worker's windows and spans equal the recorded ones, except for the recorded differences.

The recordings have the pipeline's windows, logits and spans, so the tests need neither torch nor
the float32 weights.
"""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.parity.differences import ALL_DIFFERENCES, NO_DIFFERENCES, Difference
from tests.parity.emulation import Emulation
from tests.parity.emulation_windows import Encoder
from tests.parity.explain import equal, explain
from tests.parity.pipeline_results import AnswerSpan, Origin, Outcome, Setting
from tests.parity.record_texts import TEXTS
from tests.parity.recorded_cases import (
    DIRECTORY,
    Case,
    emulated_outcome,
    load,
    token_ids,
    without_zero_scores,
)
from tests.parity.worker_spans import worker_spans, worker_windows
from worker.inference.question_answering.windows import EncodedContext, Windower
from worker.inference.window import Window
from worker.models.bundle import DEFAULT_BUNDLE, Bundle, open_bundle

RECORDINGS = [load(path) for path in sorted(DIRECTORY.glob("*.json"))]
CASES = [
    pytest.param(recording.origin, case, id=f"{recording.origin.max_seq_len}-{case.name}")
    for recording in RECORDINGS
    for case in recording.cases
]
AS_RECORDED = pytest.mark.parametrize(("origin", "case"), CASES)


class Replay:
    """Runs the worker's windowing and span selection, and the emulation, on one recording."""

    def __init__(self, bundle: Bundle, origin: Origin) -> None:
        self._origin = origin
        self._windower = Windower(bundle, max_tokens=origin.max_seq_len)
        self._encoder = Encoder(
            bundle.tokenizer_file, max_seq_len=origin.max_seq_len, doc_stride=origin.doc_stride
        )
        self._outcomes: dict[str, list[tuple[Setting, Outcome]]] = {}
        self._emulations: dict[str, Emulation] = {}

    def windows(self, case: Case) -> tuple[EncodedContext, list[Window]] | None:
        """Returns the context and its windows, or `None` if the worker rejects the question."""
        return worker_windows(
            self._windower,
            case.example,
            max_tokens=self._origin.max_seq_len,
            stride=self._origin.doc_stride,
        )

    def outcomes(self, case: Case) -> list[tuple[Setting, Outcome]]:
        """Each setting with the worker's outcome on the recorded logits."""
        if case.name not in self._outcomes:
            self._outcomes[case.name] = list(self._run(case))
        return self._outcomes[case.name]

    def _run(self, case: Case) -> Iterator[tuple[Setting, Outcome]]:
        encoded = self.windows(case)
        for setting in self._origin.settings:
            if encoded is None or case.worker_windows is None:
                yield setting, None
                continue
            context, windows = encoded
            recorded = [case.windows[index] for index in case.worker_windows]
            with_logits = [
                (window, logits.start, logits.end)
                for window, logits in zip(windows, recorded, strict=True)
            ]
            yield setting, worker_spans(case.context, context, with_logits, setting)

    def emulation(self, case: Case) -> Emulation:
        if case.name not in self._emulations:
            self._emulations[case.name] = case.emulation(self._encoder)
        return self._emulations[case.name]


@pytest.fixture(scope="module")
def replays() -> dict[Origin, Replay]:
    bundle = open_bundle(DEFAULT_BUNDLE)
    return {recording.origin: Replay(bundle, recording.origin) for recording in RECORDINGS}


@AS_RECORDED
def test_windows_equal_the_recording(
    replays: dict[Origin, Replay], origin: Origin, case: Case
) -> None:
    encoded = replays[origin].windows(case)
    if case.worker_windows is None:
        assert encoded is None
    else:
        assert encoded is not None
        recorded = [token_ids(case.windows[index]) for index in case.worker_windows]
        assert [tuple(window.ids.tolist()) for window in encoded[1]] == recorded


@AS_RECORDED
def test_windows_equal_the_pipelines_except_recorded_differences(
    origin: Origin, case: Case
) -> None:
    recorded = {difference for classes in case.differences.values() for difference in classes}
    affect_windows = {
        Difference.SPECIAL_TOKENS,
        Difference.STRIDE,
        Difference.REJECTED_QUESTION,
        Difference.BLANK_CONTEXT,
    }
    # The pipeline has no windows if it raised an exception.
    assert (
        case.worker_windows == case.pipeline_windows
        or recorded & affect_windows
        or not case.pipeline_windows
    )


@pytest.mark.long
@AS_RECORDED
def test_spans_equal_the_pipelines_except_recorded_differences(
    replays: dict[Origin, Replay], origin: Origin, case: Case
) -> None:
    emulation = replays[origin].emulation(case)
    for setting, outcome in replays[origin].outcomes(case):
        explanation = explain(
            without_zero_scores(outcome),
            without_zero_scores(case.pipeline_outcomes[setting.name]),
            partial(emulated_outcome, emulation, setting),
        )
        assert explanation.differences == case.differences[setting.name], setting.name


@AS_RECORDED
def test_emulation_equals_both_sides(
    replays: dict[Origin, Replay], origin: Origin, case: Case
) -> None:
    emulation = replays[origin].emulation(case)
    for setting, outcome in replays[origin].outcomes(case):
        worker = without_zero_scores(outcome)
        pipeline = without_zero_scores(case.pipeline_outcomes[setting.name])
        assert equal(emulated_outcome(emulation, setting, NO_DIFFERENCES), worker), setting.name
        assert equal(emulated_outcome(emulation, setting, ALL_DIFFERENCES), pipeline), setting.name


@AS_RECORDED
def test_no_impossible_spans(replays: dict[Origin, Replay], origin: Origin, case: Case) -> None:
    for setting, outcome in replays[origin].outcomes(case):
        for span in outcome or ():
            assert case.context[span.start : span.end] == span.answer
            assert 0.0 <= span.score <= 1.0
            no_answer = AnswerSpan("", span.score, 0, 0)
            allowed = setting.handle_impossible_answer or not case.worker_windows
            assert span.start < span.end or (allowed and span == no_answer)


def test_every_difference_is_recorded() -> None:
    recorded = {
        difference
        for recording in RECORDINGS
        for case in recording.cases
        for classes in case.differences.values()
        for difference in classes
    }
    # Rounding needs two sets of logits; the other two affect only spans with score 0.
    assert recorded == ALL_DIFFERENCES - {
        Difference.ROUNDING,
        Difference.IMPOSSIBLE_SPANS,
        Difference.TIE_ORDER,
    }


def test_recordings_contain_impossible_pipeline_spans() -> None:
    impossible = [
        span
        for recording in RECORDINGS
        for case in recording.cases
        for outcome in case.pipeline_outcomes.values()
        for span in outcome or ()
        if span.score == 0.0 and not span.answer
    ]
    assert impossible


def test_every_text_is_recorded() -> None:
    recorded = {
        (recording.origin.max_seq_len, recording.origin.doc_stride): [
            (case.name, case.question, case.context) for case in recording.cases
        ]
        for recording in RECORDINGS
    }
    assert recorded == {
        lengths: [(text.name, text.question, text.context) for text in texts]
        for lengths, texts in TEXTS.items()
    }
