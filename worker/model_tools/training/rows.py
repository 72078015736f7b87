"""The training data: questions with contexts and answers, one JSON object on each line.

A row has the fields id, src, title, question, context and answers ([{text, start}], code points;
empty if the question is unanswerable), of unanswerable ones also kind. Rows with `tune: true` are
held out: thresholds and temperatures are fitted to them, no weights.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXCLUDED_SOURCES = frozenset({"nq_swap"})
"""The licence of these rows is the least certain."""


@dataclass(frozen=True, slots=True)
class Row:
    """A question on a context. The answer starts at `start` and ends before `end`, in code points.

    `start` is None for an unanswerable question.
    """

    id: str
    source: str
    kind: str
    """How an unanswerable question was made; empty for an answerable one."""
    title: str
    question: str
    context: str
    start: int | None
    end: int | None


class RowError(Exception):
    """A line is not a row of training data. The message names file and line."""


def read_rows(paths: Iterable[Path], *, held_out: bool) -> Iterator[Row]:
    """The rows to train with, or those held out. Raises `RowError`, `OSError`."""
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    fields = json.loads(line)
                    if bool(fields.get("tune")) is held_out:
                        row = _row(fields)
                        if row.source not in EXCLUDED_SOURCES:
                            yield row
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise RowError(f"{path}, line {number}: not a row: {error!r}") from None


def _row(fields: dict[str, Any]) -> Row:
    start = end = None
    if fields["answers"]:
        # One gold answer trains; the others of a row are other readings of the same question.
        answer = fields["answers"][0]
        start, end = answer["start"], answer["start"] + len(answer["text"])
        if fields["context"][start:end] != answer["text"]:
            raise ValueError(f"the context at {start} is not the answer {answer['text']!r}")
    return Row(
        id=fields["id"],
        source=fields["src"],
        kind=fields.get("kind") or "",
        title=fields.get("title") or "",
        question=fields["question"],
        context=fields["context"],
        start=start,
        end=end,
    )
