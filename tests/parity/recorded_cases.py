"""What the pipeline gave for texts of ours, with the logits it read: replayed without torch.

Knows the files in `recorded/`; `record` writes them, `test_recorded` holds the reader to them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.parity.classes import Difference
from tests.parity.reference import Emulation, Logits
from tests.parity.reference_results import (
    Origin,
    Outcome,
    ReadWindow,
    Setting,
    pack_found,
    pack_window,
    unpack_found,
    unpack_origin,
    unpack_window,
)
from tests.parity.reference_windows import Differences, Encoder, TokenWindow
from worker.model_tools.evaluation.squad import Example

DIRECTORY = Path(__file__).parent / "recorded"


@dataclass(frozen=True, slots=True)
class Case:
    """A question as it was read.

    `windows` holds every window that anybody asked the model for; `theirs` and `ours` are
    places in it, in order, `ours` is `None` where we reject the question. `differences` says for
    each setting what stands between our spans and the pipeline's `found`.
    """

    name: str
    question: str
    context: str
    windows: tuple[ReadWindow, ...]
    theirs: tuple[int, ...]
    ours: tuple[int, ...] | None
    found: dict[str, Outcome]
    differences: dict[str, tuple[Difference, ...]]

    @property
    def example(self) -> Example:
        return Example(self.name, self.question, self.context, ())

    def emulation(self, encoder: Encoder) -> Emulation:
        """Over the recorded logits, which are torch's for both sides."""
        known = {ids_of(window): (window.start, window.end) for window in self.windows}

        def model(window: TokenWindow) -> Logits:
            return known[tuple(window.ids.tolist())]

        return Emulation(encoder, self.question, self.context, ours=model, theirs=model)


@dataclass(frozen=True, slots=True)
class Recording:
    """One file: cases that were cut in the same way."""

    origin: Origin
    cases: tuple[Case, ...]


def ids_of(window: ReadWindow) -> tuple[int, ...]:
    return tuple(window.ids.tolist())


def without_zeros(outcome: Outcome) -> Outcome:
    """Spans that have a score.

    Which pairs of score 0 the pipeline returns is up to numpy's partition, and so to the
    processor: they cannot be compared on another machine.
    """
    return None if outcome is None else tuple(span for span in outcome if span.score > 0.0)


def emulated(emulation: Emulation, setting: Setting, differences: Differences) -> Outcome:
    """The emulation's spans that have a score."""
    return without_zeros(emulation(setting, differences))


def load(path: Path) -> Recording:
    record = json.loads(path.read_text(encoding="utf-8"))
    return Recording(unpack_origin(record["origin"]), tuple(map(_case, record["cases"])))


def save(path: Path, origin: Origin, cases: Sequence[Case]) -> None:
    """One line for each case, so that a new recording reads as a diff."""
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
        "theirs": case.theirs,
        "ours": case.ours,
        "found": pack_found(case.found),
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
        theirs=tuple(record["theirs"]),
        ours=None if record["ours"] is None else tuple(record["ours"]),
        found=unpack_found(record["found"]),
        differences={
            name: tuple(Difference[difference] for difference in differences)
            for name, differences in record["differences"].items()
        },
    )
