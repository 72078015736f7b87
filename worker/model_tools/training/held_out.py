"""Writes the held-out rows of the training data as a SQuAD v2.0 file.

`python -m worker.model_tools.training.held_out ROWS.jsonl.gz... --to tune.json`. The file is for
`qa-worker model calibrate`, which shows each half of a file with the fit to the other half. So the
articles are in a random order, the same in every run: both halves are alike and share no article.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from worker.model_tools.training.rows import Row, read_rows

SEED = 1


def squad_document(rows: Iterable[Row]) -> dict[str, Any]:
    """The rows as SQuAD v2.0: articles by title, paragraphs by context."""
    articles: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        articles[row.title][row.context].append(row)
    titles = sorted(articles)
    random.Random(SEED).shuffle(titles)  # noqa: S311
    return {
        "version": "v2.0",
        "data": [
            {
                "title": title,
                "paragraphs": [
                    {"context": context, "qas": [_entry(row) for row in rows]}
                    for context, rows in articles[title].items()
                ],
            }
            for title in titles
        ],
    }


def _entry(row: Row) -> dict[str, Any]:
    answers = []
    if row.start is not None:
        answers.append({"text": row.context[row.start : row.end], "answer_start": row.start})
    return {
        "id": row.id,
        "question": row.question,
        "answers": answers,
        "is_impossible": row.start is None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--to", type=Path, required=True, help="SQuAD v2.0 file")
    arguments = parser.parse_args()
    document = squad_document(read_rows(arguments.rows, held_out=True))
    arguments.to.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
