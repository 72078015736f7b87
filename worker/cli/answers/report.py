"""The report of `answers compare`, for people and as JSON."""

import json
from collections.abc import Mapping
from typing import Any

from worker.answers.answer import ComparedAnswer
from worker.answers.comparison import Comparison, Difference, Distribution
from worker.answers.gold import GoldScores
from worker.answers.join import Join, JoinKey, Side
from worker.cli.dead_letters.formatting import truncate
from worker.cli.terminal import Table, print_line, print_note, write_json

_CELL_CHARACTERS = 40
"""Longer texts are truncated in the table; --json has them whole."""


class Report:
    """Of one comparison, which has at least one pair."""

    def __init__(
        self, join: Join, key: JoinKey, comparison: Comparison, gold: GoldScores | None
    ) -> None:
        self._join = join
        self._key = key
        self._comparison = comparison
        self._gold = gold

    def write_json(self) -> None:
        """One document on stdout."""
        join, comparison = self._join, self._comparison
        write_json(
            json.dumps(
                {
                    "left": _side(join.left, join),
                    "right": _side(join.right, join),
                    "joined_by": str(self._key),
                    "pairs": join.pairs,
                    "different_ids": join.different_ids,
                    "same": comparison.same,
                    "differ": comparison.differ,
                    "share_that_differs": comparison.share_that_differs,
                    "same_text": comparison.same_text,
                    "different_units": comparison.different_units,
                    "answered": {name: count for name, _, count in self._answered()},
                    "f1": _distribution(comparison.f1),
                    "score_shift": _distribution(comparison.score_shift),
                    "delay_seconds": _distribution(comparison.delay),
                    "gold": None if self._gold is None else _gold(self._gold),
                    "differences": [_difference(each) for each in comparison.worst],
                },
                ensure_ascii=False,
            )
        )

    def print(self) -> None:
        """Tables on stdout, notes on stderr."""
        self._print_sides()
        self._print_pairs()
        self._print_distributions()
        if self._gold is not None:
            _print_gold(self._gold)
        self._print_differences()
        self._print_notes()

    def _answered(self) -> list[tuple[str, str, int]]:
        """Name, description and number of the cells of the table of who answered."""
        cells = {
            "both": ("both have an answer", (True, True)),
            "only_left": ("only left has an answer", (True, False)),
            "only_right": ("only right has an answer", (False, True)),
            "neither": ("neither has an answer", (False, False)),
        }
        counts = self._comparison.answered
        return [(name, text, counts[cell]) for name, (text, cell) in cells.items()]

    def _print_sides(self) -> None:
        left, right = self._join.left, self._join.right
        table = Table("", "Left", "Right")
        table.add_row("answers in", left.name, right.name)
        table.add_row("models", *("\n".join(_models(side)) for side in (left, right)))
        rows: list[tuple[str, int, int]] = [
            ("answers", left.answers, right.answers),
            ("duplicates", left.duplicates, right.duplicates),
            ("out of the sample", left.out_of_sample, right.out_of_sample),
            ("rejections", left.rejected, right.rejected),
            ("records that are not answers", left.not_answers, right.not_answers),
        ]
        if self._join.is_complete:
            rows.append(("on this side only", left.only, right.only))
        for name, *counts in rows:
            if any(counts) or name in ("answers", "on this side only"):
                table.add_row(name, *(f"{count:,}" for count in counts))
        table.print()

    def _print_pairs(self) -> None:
        comparison = self._comparison
        table = Table("Pairs", "Number", "Share")
        rows = [
            ("all", comparison.pairs),
            ("same span, or no answer on both sides", comparison.same),
            ("different", comparison.differ),
            ("same text, as SQuAD normalizes it", comparison.same_text),
            *((text, count) for _, text, count in self._answered()),
        ]
        for name, count in rows:
            table.add_row(name, f"{count:,}", f"{100 * count / comparison.pairs:.2f} %")
        table.print()

    def _print_distributions(self) -> None:
        comparison = self._comparison
        quantiles = list(comparison.f1.quantiles)
        table = Table("", "Mean", *(_percent(each) for each in quantiles))
        rows = [
            ("F1 between the answers", comparison.f1, "{:.3f}"),
            ("score, right - left", comparison.score_shift, "{:+.4f}"),
            ("record time, right - left, s", comparison.delay, "{:+.3f}"),
        ]
        for name, distribution, form in rows:
            if found := distribution.quantiles.values():
                table.add_row(name, *(form.format(each) for each in (distribution.mean, *found)))
        table.print()

    def _print_differences(self) -> None:
        if not self._comparison.worst:
            return
        table = Table("Question", "F1", "Left", "Score", "Right", "Score")
        for each in self._comparison.worst:
            cells = [truncate(each.left.id, _CELL_CHARACTERS), f"{each.f1:.2f}"]
            for answer in (each.left, each.right):
                text = truncate(answer.answer, _CELL_CHARACTERS) if answer.span else "(no answer)"
                cells += [text, f"{answer.score:.4f}"]
            table.add_row(*cells)
        table.print()

    def _print_notes(self) -> None:
        join, comparison = self._join, self._comparison
        if comparison.different_units:
            print_note(
                f"note: {comparison.different_units} pairs have offsets in different units; the "
                f"same text of the same passage counts as the same span"
            )
        if join.different_ids:
            print_note(
                f"note: {join.different_ids} answers have the same source and different ids, and "
                f"are left out: the questions topic was created again, or the sides are of "
                f"different clusters"
            )
        for side in (join.left, join.right):
            if side.not_answers:
                print_note(
                    f"note: {side.name}: {side.not_answers} records are not answers; the first, "
                    f"{side.first_problem}"
                )
        if not join.is_complete:
            print_note("note: --limit ended the comparison; what is on one side only is not known")


def _print_gold(gold: GoldScores) -> None:
    left, right, p = gold.left, gold.right, gold.significance
    table = Table("Against the gold answers", "Left", "Right")
    table.add_row("EM", f"{left.exact_match:.2f}", f"{right.exact_match:.2f}")
    table.add_row("F1", f"{left.f1:.2f}", f"{right.f1:.2f}")
    table.add_row("right on this side only", f"{gold.only_left:,}", f"{gold.only_right:,}")
    table.print()
    print_line(
        f"{left.total:,} of the file's {gold.questions:,} questions; McNemar's test of EM: exact "
        f"p = {p.exact:.4g}, mid-p = {p.mid_p:.4g}"
    )


def _percent(quantile: float) -> str:
    return {0.0: "Least", 0.5: "Median", 1.0: "Most"}.get(quantile, f"{100 * quantile:g} %")


def _models(side: Side) -> list[str]:
    return [
        f"{model.name} ({model.precision}, {model.sha256[:12]})"
        f"{f': {count:,}' * (len(side.models) > 1)}"
        for model, count in side.models.most_common()
    ]


def _side(side: Side, join: Join) -> dict[str, Any]:
    return {
        "name": side.name,
        "answers": side.answers,
        "duplicates": side.duplicates,
        "out_of_sample": side.out_of_sample,
        "rejected": side.rejected,
        "not_answers": side.not_answers,
        "only": side.only if join.is_complete else None,
        "models": [
            {**model.model_dump(), "answers": count} for model, count in side.models.most_common()
        ],
    }


def _distribution(distribution: Distribution) -> dict[str, Any] | None:
    quantiles: Mapping[float, float] = distribution.quantiles
    if not quantiles:
        return None
    return {
        "mean": distribution.mean,
        "quantiles": {f"{each:g}": value for each, value in quantiles.items()},
    }


def _gold(gold: GoldScores) -> dict[str, Any]:
    return {
        "questions": gold.left.total,
        **{
            name: {"exact_match": side.exact_match, "f1": side.f1, "right_on_this_side_only": only}
            for name, side, only in (
                ("left", gold.left, gold.only_left),
                ("right", gold.right, gold.only_right),
            )
        },
        "mcnemar": {"exact_p": gold.significance.exact, "mid_p": gold.significance.mid_p},
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "id": difference.left.id,
        "source": difference.left.place or None,
        "f1": difference.f1,
        "left": _answer(difference.left),
        "right": _answer(difference.right),
    }


def _answer(answer: ComparedAnswer) -> dict[str, Any]:
    passage, start, end = answer.span or (None, None, None)
    return {
        "answer": answer.answer,
        "score": answer.score,
        "answered": answer.span is not None,
        "context_index": passage,
        "start": start,
        "end": end,
        "offsets": answer.offsets,
    }
