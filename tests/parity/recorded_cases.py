"""Recorded cases: the pipeline's windows, logits and outcomes, replayed without torch.

Responsible for the format of the files in `recorded/`. `record.py` writes them; `test_recorded.py`
compares the worker with them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.parity.differences import Difference
from tests.parity.emulation import Emulation, Logits
from tests.parity.emulation_windows import Differences, Encoder, TokenWindow
from tests.parity.pipeline_results import (
    Origin,
    Outcome,
    Setting,
    WindowWithLogits,
    pack_outcomes,
    pack_window,
    unpack_origin,
    unpack_outcomes,
    unpack_window,
)
from worker.model_tools.evaluation.squad import Example

DIRECTORY = Path(__file__).parent / "recorded"


@dataclass(frozen=True, slots=True)
class Case:
    """A recorded question."""

    name: str
    question: str
    context: str
    windows: tuple[WindowWithLogits, ...]
    """All windows that the pipeline, the worker or the emulation ran, with torch's logits."""
    pipeline_windows: tuple[int, ...]
    """Indices in `windows`."""
    worker_windows: tuple[int, ...] | None
    """Indices in `windows`; `None` if the worker rejects the question."""
    pipeline_outcomes: dict[str, Outcome]
    """By name of the setting."""
    differences: dict[str, tuple[Difference, ...]]
    """The explanation of the difference to the worker's outcome, by name of the setting."""

    @property
    def example(self) -> Example:
        """The question as an example without gold answers."""
        return Example(self.name, self.question, self.context, ())

    def emulation(self, encoder: Encoder) -> Emulation:
        """Returns an emulation that uses the recorded logits for both sides."""
        known = {token_ids(window): (window.start, window.end) for window in self.windows}

        def model(window: TokenWindow) -> Logits:
            return known[tuple(window.ids.tolist())]

        return Emulation(
            encoder, self.question, self.context, worker_model=model, pipeline_model=model
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """The cases of one file, which have the same window length and stride."""

    origin: Origin
    cases: tuple[Case, ...]


def token_ids(window: WindowWithLogits) -> tuple[int, ...]:
    return tuple(window.ids.tolist())


def without_zero_scores(outcome: Outcome) -> Outcome:
    """Returns the spans with a score above 0.

    Which pairs with score 0 the pipeline returns depends on numpy's partition and the CPU, so they
    cannot be compared on another machine.
    """
    return None if outcome is None else tuple(span for span in outcome if span.score > 0.0)


def emulated_outcome(emulation: Emulation, setting: Setting, differences: Differences) -> Outcome:
    """Returns the emulation's spans with a score above 0."""
    return without_zero_scores(emulation(setting, differences))


def load(path: Path) -> Recording:
    record = json.loads(path.read_text(encoding="utf-8"))
    return Recording(unpack_origin(record["origin"]), tuple(map(_case, record["cases"])))


def save(path: Path, origin: Origin, cases: Sequence[Case]) -> None:
    """Writes one line for each case, so that a diff shows the changed cases."""
    lines = ",\n".join(json.dumps(_record(case), ensure_ascii=False) for case in cases)
    path.write_text(
        f'{{"origin": {json.dumps(asdict(origin))},\n"cases": [\n{lines}\n]}}\n', encoding="utf-8"
    )


def _record(case: Case) -> dict[str, Any]:
    return {
        "name": case.name,
        "question": case.question,
        "context": case.context,
        "windows": [pack_window(window) for window in case.windows],
        "pipeline_windows": case.pipeline_windows,
        "worker_windows": case.worker_windows,
        "pipeline_outcomes": pack_outcomes(case.pipeline_outcomes),
        "differences": {
            name: [difference.name for difference in differences]
            for name, differences in case.differences.items()
        },
    }


def _case(record: dict[str, Any]) -> Case:
    return Case(
        name=record["name"],
        question=record["question"],
        context=record["context"],
        windows=tuple(map(unpack_window, record["windows"])),
        pipeline_windows=tuple(record["pipeline_windows"]),
        worker_windows=None
        if record["worker_windows"] is None
        else tuple(record["worker_windows"]),
        pipeline_outcomes=unpack_outcomes(record["pipeline_outcomes"]),
        differences={
            name: tuple(Difference[difference] for difference in differences)
            for name, differences in record["differences"].items()
        },
    )
