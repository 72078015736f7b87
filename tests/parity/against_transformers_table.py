"""What the comparison counted, and the tables that show it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

from tests.parity.classes import Difference
from tests.parity.classes_explained import Verdict
from tests.parity.reference_results import Outcome, Setting
from worker.cli.terminal import out
from worker.model_tools.evaluation.squad import Example, score

Classes = tuple[Difference, ...]


@dataclass(slots=True)
class Tally:
    """Of one setting: how many questions went which way, by the number of their windows."""

    setting: Setting
    single: Counter[Classes] = field(default_factory=Counter)
    several: Counter[Classes] = field(default_factory=Counter)
    same_answer: Counter[Classes] = field(default_factory=Counter)
    """Of those that differ: answers and places are equal, only scores are not."""
    examples: dict[Classes, str] = field(default_factory=dict)
    unexplained: list[str] = field(default_factory=list)
    score_gap: float = 0.0
    """The largest difference of scores among the equal ones."""
    our_answers: dict[str, str] = field(default_factory=dict)
    their_answers: dict[str, str] = field(default_factory=dict)

    def add(
        self, name: str, windows: int, ours: Outcome, theirs: Outcome, verdict: Verdict
    ) -> None:
        """The question of this name, and how many windows it took."""
        self.our_answers[name] = ours[0].answer if ours else ""
        self.their_answers[name] = theirs[0].answer if theirs else ""
        if verdict.differences is None:
            self.unexplained.append(name)
            return
        counts = self.single if windows <= 1 else self.several
        counts[verdict.differences] += 1
        self.same_answer[verdict.differences] += _same_places(ours, theirs)
        self.examples.setdefault(verdict.differences, name)
        self.score_gap = max(self.score_gap, verdict.score_gap)


def print_tables(tallies: Sequence[Tally], examples: Sequence[Example]) -> None:
    """Counts for each setting, and what both score on the file."""
    for tally in tallies:
        out.print(_counts(tally))
    read = [example for example in examples if example.id in tallies[0].our_answers]
    table = Table(title="EM and F1, best answer")
    for heading in ("setting", "EM ours", "EM pipeline", "F1 ours", "F1 pipeline"):
        table.add_column(heading, justify="left" if heading == "setting" else "right")
    for tally in tallies:
        ours, theirs = score(read, tally.our_answers), score(read, tally.their_answers)
        figures = (ours.exact_match, theirs.exact_match, ours.f1, theirs.f1)
        table.add_row(tally.setting.name, *(f"{figure:.4f}" for figure in figures))
    out.print(table)


def _counts(tally: Tally) -> Table:
    total = tally.single + tally.several
    count = total.total() + len(tally.unexplained)
    table = Table(
        title=f"{tally.setting.name}: {count:,} questions; scores of equal answers differ by at "
        f"most {tally.score_gap:.1e}",
    )
    table.add_column("outcome")
    for heading in ("single window", "several", "only scores differ"):
        table.add_column(heading, justify="right")
    table.add_column("example")
    for classes, _ in sorted(total.items(), key=lambda item: (bool(item[0]), -item[1])):
        table.add_row(
            Text(" + ".join(one.value for one in classes) or "equal"),
            f"{tally.single[classes]:,}",
            f"{tally.several[classes]:,}",
            f"{tally.same_answer[classes]:,}" if classes else "",
            tally.examples[classes] if classes else "",
        )
    first = tally.unexplained[0] if tally.unexplained else ""
    table.add_row("unexplained", f"{len(tally.unexplained):,}", "", "", first, style="bold")
    return table


def _same_places(ours: Outcome, theirs: Outcome) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return [(span.start, span.end) for span in ours] == [(span.start, span.end) for span in theirs]
