"""The tables at the end of a run, and the same figures as JSON values."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from statistics import median
from typing import Any

from rich.table import Table

from tests.faults.checker import Report
from tests.faults.rounds import Round
from tests.faults.world import DONE

_COUNTS = ("questions", "answered", "dead_letters", "repeated", "aborted", "expired")
_FINDINGS = tuple(f.name for f in fields(Report) if f.name not in (*_COUNTS, "delivery"))


def figures(rounds: Sequence[Round]) -> dict[str, Any]:
    """Sums over all rounds."""
    injected = [each for result in rounds for each in result.injected]
    kinds = sorted({each.fault.label for each in injected})
    return {
        "rounds": len(rounds),
        "faults": len(injected),
        **{name: sum(getattr(r.report, name) for r in rounds) for name in _COUNTS},
        **{name: sum(len(getattr(r.report, name)) for r in rounds) for name in _FINDINGS},
        "worker_exits": sum(len(result.exits) for result in rounds),
        "errors_in_logs": sum(len(result.log_errors) for result in rounds),
        "slowest_drain_seconds": round(max((r.drained_after for r in rounds), default=0), 1),
        "by_kind": {
            kind: dict(Counter(h.outcome for h in injected if h.fault.label == kind))
            for kind in kinds
        },
    }


def tables(rounds: Sequence[Round], delivery: str) -> list[Table]:
    summary_figures = figures(rounds)
    by_kind = Table("Fault", "Times", "Of these", "Lasted, s", title="By kind of fault")
    for kind, outcomes in summary_figures["by_kind"].items():
        others = [f"{count} {what}" for what, count in outcomes.items() if what != DONE]
        lasted = [h.seconds for r in rounds for h in r.injected if h.fault.label == kind]
        by_kind.add_row(
            kind, str(sum(outcomes.values())), ", ".join(others), f"{median(lasted):.1f}"
        )
    problems = Table("Workers that exited by themselves, and errors in their logs", "Times")
    lines = [_without_numbers(line) for r in rounds for line in (*r.exits, *r.log_errors)]
    for what, count in Counter(lines).most_common():
        problems.add_row(what, str(count))
    summary = Table("", "Figure", title=f"All rounds, {delivery}")
    for name, figure in summary_figures.items():
        if name != "by_kind":
            summary.add_row(name.replace("_", " "), f"{figure:,}")
    return [by_kind, problems, summary]


def _without_numbers(line: str) -> str:
    """Without them, equal problems are counted together."""
    return re.sub(r"(127\.0\.0\.1:\d+,?)+|'127\.0\.0\.1', \d+|-[0-9a-f]{8}\b|\d+", "…", line)
