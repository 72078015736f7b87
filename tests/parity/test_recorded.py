"""Our windows and spans are the pipeline's on everything recorded, or differ as it is classed.

The recordings hold the pipeline's windows, logits and spans for texts of ours, so this needs
neither torch nor the float32 weights.
"""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.parity.against_transformers_spans import our_spans, our_windows
from tests.parity.classes import EVERYTHING, NOTHING, Difference
from tests.parity.classes_explained import equal, judge
from tests.parity.record_texts import TEXTS
from tests.parity.recorded_cases import (
    DIRECTORY,
    Case,
    emulated,
    ids_of,
    load,
    without_zeros,
)
from tests.parity.reference import Emulation
from tests.parity.reference_results import Found, Origin, Outcome, Setting
from tests.parity.reference_windows import Encoder
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
    """Our reader's windows and spans, and the emulation, over what one file recorded."""

    def __init__(self, bundle: Bundle, origin: Origin) -> None:
        self._origin = origin
        self._windower = Windower(bundle, max_tokens=origin.max_seq_len)
        self._encoder = Encoder(
            bundle.tokenizer_file, max_seq_len=origin.max_seq_len, doc_stride=origin.doc_stride
        )

    def cut(self, case: Case) -> tuple[EncodedContext, list[Window]] | None:
        return our_windows(
            self._windower,
            case.example,
            max_tokens=self._origin.max_seq_len,
            stride=self._origin.doc_stride,
        )

    def outcomes(self, case: Case) -> Iterator[tuple[Setting, Outcome]]:
        """Our spans on the recorded logits, for each setting."""
        cut = self.cut(case)
        for setting in self._origin.settings:
            if cut is None or case.ours is None:
                yield setting, None
                continue
            context, windows = cut
            seen = [case.windows[place] for place in case.ours]
            read = [
                (window, logits.start, logits.end)
                for window, logits in zip(windows, seen, strict=True)
            ]
            yield setting, our_spans(case.context, context, read, setting)

    def emulation(self, case: Case) -> Emulation:
        return case.emulation(self._encoder)


@pytest.fixture(scope="module")
def replays() -> dict[Origin, Replay]:
    bundle = open_bundle(DEFAULT_BUNDLE)
    return {recording.origin: Replay(bundle, recording.origin) for recording in RECORDINGS}


@AS_RECORDED
def test_windows_equal_the_recording(
    replays: dict[Origin, Replay], origin: Origin, case: Case
) -> None:
    cut = replays[origin].cut(case)
    if case.ours is None:
        assert cut is None
    else:
        assert cut is not None
        recorded = [ids_of(case.windows[place]) for place in case.ours]
        assert [tuple(window.ids.tolist()) for window in cut[1]] == recorded


@AS_RECORDED
def test_windows_equal_the_pipelines_except_decisions(origin: Origin, case: Case) -> None:
    decided = {difference for several in case.differences.values() for difference in several}
    other = {
        Difference.SPECIAL_TOKENS,
        Difference.STRIDE,
        Difference.REFUSED,
        Difference.BLANK,
    }
    # Where both refuse, the pipeline made no windows.
    assert case.ours == case.theirs or decided & other or not case.theirs


@AS_RECORDED
def test_spans_equal_the_pipelines_except_classified(
    replays: dict[Origin, Replay], origin: Origin, case: Case
) -> None:
    emulation = replays[origin].emulation(case)
    for setting, ours in replays[origin].outcomes(case):
        verdict = judge(
            without_zeros(ours),
            without_zeros(case.found[setting.name]),
            partial(emulated, emulation, setting),
        )
        assert verdict.differences == case.differences[setting.name], setting.name


@AS_RECORDED
def test_emulation_equals_both_sides(
    replays: dict[Origin, Replay], origin: Origin, case: Case
) -> None:
    emulation = replays[origin].emulation(case)
    for setting, ours in replays[origin].outcomes(case):
        theirs = without_zeros(case.found[setting.name])
        assert equal(emulated(emulation, setting, NOTHING), without_zeros(ours)), setting.name
        assert equal(emulated(emulation, setting, EVERYTHING), theirs), setting.name


@AS_RECORDED
def test_no_impossible_spans(replays: dict[Origin, Replay], origin: Origin, case: Case) -> None:
    for setting, ours in replays[origin].outcomes(case):
        for span in ours or ():
            assert case.context[span.start : span.end] == span.answer
            assert 0.0 <= span.score <= 1.0
            nothing = Found("", span.score, 0, 0)
            allowed = setting.handle_impossible_answer or not case.ours
            assert span.start < span.end or (allowed and span == nothing)


def test_every_decision_is_recorded() -> None:
    shown = {
        difference
        for recording in RECORDINGS
        for case in recording.cases
        for several in case.differences.values()
        for difference in several
    }
    # Rounding needs two sets of logits; the other two are about spans of score 0.
    assert shown == EVERYTHING - {Difference.ROUNDING, Difference.JUNK, Difference.ORDER}


def test_recordings_contain_impossible_pipeline_spans() -> None:
    zeros = [
        found
        for recording in RECORDINGS
        for case in recording.cases
        for outcome in case.found.values()
        for found in outcome or ()
        if found.score == 0.0 and not found.answer
    ]
    assert zeros


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
