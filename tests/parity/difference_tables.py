"""Counts of equal and different outcomes by class, and tables of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

from tests.parity.differences import Difference
from tests.parity.explain import Explanation
from tests.parity.pipeline_results import Outcome, Setting
from worker.cli.terminal import out
from worker.model_tools.evaluation.squad import Example, score

Classes = tuple[Difference, ...]


@dataclass(slots=True)
class DifferenceCounts:
    """Numbers of questions in one setting, by the differences between worker and pipeline.

    The key of a counter is the explanation of a question; the empty tuple means equal outcomes.
    """

    setting: Setting
    single_window: Counter[Classes] = field(default_factory=Counter)
    """Questions with one window."""
    several_windows: Counter[Classes] = field(default_factory=Counter)
    """Questions with more than one window."""
    only_scores_differ: Counter[Classes] = field(default_factory=Counter)
    """Questions with different outcomes in which answers and offsets are equal."""
    example_ids: dict[Classes, str] = field(default_factory=dict)
    """The first question of each explanation."""
    unexplained_ids: list[str] = field(default_factory=list)
    score_gap: float = 0.0
    """The largest difference of scores in equal outcomes."""
    worker_answers: dict[str, str] = field(default_factory=dict)
    """Best answers by question id."""
    pipeline_answers: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        question_id: str,
        windows: int,
        worker: Outcome,
        pipeline: Outcome,
        explanation: Explanation,
    ) -> None:
        """Counts a question. `windows` is its number of windows in the pipeline."""
        self.worker_answers[question_id] = worker[0].answer if worker else ""
        self.pipeline_answers[question_id] = pipeline[0].answer if pipeline else ""
        if explanation.differences is None:
            self.unexplained_ids.append(question_id)
            return
        counts = self.single_window if windows <= 1 else self.several_windows
        counts[explanation.differences] += 1
        self.only_scores_differ[explanation.differences] += _same_offsets(worker, pipeline)
        self.example_ids.setdefault(explanation.differences, question_id)
        self.score_gap = max(self.score_gap, explanation.score_gap)


def print_tables(counts: Sequence[DifferenceCounts], examples: Sequence[Example]) -> None:
    """Prints the counts of each setting, and EM and F1 of the worker and the pipeline."""
    for of_setting in counts:
        out.print(_counts_table(of_setting))
    answered = [example for example in examples if example.id in counts[0].worker_answers]
    table = Table(title="EM and F1, best answer")
    for heading in ("setting", "EM worker", "EM pipeline", "F1 worker", "F1 pipeline"):
        table.add_column(heading, justify="left" if heading == "setting" else "right")
    for of_setting in counts:
        worker = score(answered, of_setting.worker_answers)
        pipeline = score(answered, of_setting.pipeline_answers)
        figures = (worker.exact_match, pipeline.exact_match, worker.f1, pipeline.f1)
        table.add_row(of_setting.setting.name, *(f"{figure:.4f}" for figure in figures))
    out.print(table)


def _counts_table(counts: DifferenceCounts) -> Table:
    total = counts.single_window + counts.several_windows
    questions = total.total() + len(counts.unexplained_ids)
    table = Table(
        title=f"{counts.setting.name}: {questions:,} questions; scores of equal answers differ by "
        f"at most {counts.score_gap:.1e}",
    )
    table.add_column("outcome")
    for heading in ("single window", "several windows", "only scores differ"):
        table.add_column(heading, justify="right")
    table.add_column("example")
    for classes, _ in sorted(total.items(), key=lambda item: (bool(item[0]), -item[1])):
        table.add_row(
            Text(" + ".join(difference.value for difference in classes) or "equal"),
            f"{counts.single_window[classes]:,}",
            f"{counts.several_windows[classes]:,}",
            f"{counts.only_scores_differ[classes]:,}" if classes else "",
            counts.example_ids[classes] if classes else "",
        )
    first = counts.unexplained_ids[0] if counts.unexplained_ids else ""
    number = f"{len(counts.unexplained_ids):,}"
    table.add_row("unexplained", number, "", "", first, style="bold")
    return table


def _same_offsets(worker: Outcome, pipeline: Outcome) -> bool:
    if worker is None or pipeline is None:
        return worker is pipeline
    offsets = [[(span.start, span.end) for span in spans] for spans in (worker, pipeline)]
    return offsets[0] == offsets[1]
