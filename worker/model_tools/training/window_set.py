"""All windows of the training data as arrays, in one file.

`python -m worker.model_tools.training.window_set ROWS.jsonl.gz... --tokenizer tokenizer.json --to
windows.npz`. Tokenizing takes minutes; training then reads arrays only. Rows that are held out for
thresholds are not in the file.
"""

import argparse
import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from worker.model_tools.training.mixture import Group, group_of
from worker.model_tools.training.rows import Row, read_rows
from worker.model_tools.training.windows import TrainingWindow, open_tokenizer, windows_of_rows

VALIDATION_SHARE = 20
"""Every 20th article is kept from training, to choose between trained models."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowSet:
    """`n` windows, sorted by the article that they are from.

    ids         (tokens,) token ids of all windows, one after the other
    begins      (n + 1,) where each window begins in `ids`
    contexts    (n,) the first token of the context in the window
    starts      (n,) first token of the answer in the window; 0, which is [CLS]: none
    ends        (n,) last token of the answer
    rows        (n,) number of the row
    articles    (n,) number of the article, ascending
    groups      (n,) `Group`
    validation  (n,) kept from training
    """

    ids: NDArray[np.uint16]
    begins: NDArray[np.int64]
    contexts: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    rows: NDArray[np.int64]
    articles: NDArray[np.int64]
    groups: NDArray[np.uint8]
    validation: NDArray[np.bool_]

    def save(self, path: Path) -> None:
        """Write the arrays. Raises `OSError`."""
        np.savez_compressed(path, **{each.name: getattr(self, each.name) for each in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote. Raises `OSError`."""
        with np.load(path) as arrays:
            return cls(**{each.name: arrays[each.name] for each in fields(cls)})


def window_set(rows: Iterable[tuple[Row, list[TrainingWindow]]]) -> WindowSet:
    """The windows of rows. A row without a title is an article of its own."""
    articles: dict[str, int] = defaultdict(lambda: len(articles))
    entries: list[tuple[int, int, Group, bool, TrainingWindow]] = []
    for number, (row, windows) in enumerate(rows):
        article = articles[row.title or f"row {number}"]
        validation = bool(row.title) and zlib.crc32(row.title.encode()) % VALIDATION_SHARE == 0
        for window in windows:
            lacking = row.start is not None and not window.start
            group = Group.EMPTY if lacking else group_of(row)
            entries.append((article, number, group, validation, window))
    entries.sort(key=lambda entry: entry[0])
    windows = [entry[-1] for entry in entries]
    lengths = [len(each.ids) for each in windows]
    return WindowSet(
        ids=np.concatenate([np.array(each.ids, np.uint16) for each in windows]),
        begins=np.concatenate([[0], np.cumsum(lengths)]),
        contexts=np.array([each.context for each in windows]),
        starts=np.array([each.start for each in windows]),
        ends=np.array([each.end for each in windows]),
        rows=np.array([entry[1] for entry in entries]),
        articles=np.array([entry[0] for entry in entries]),
        groups=np.array([entry[2] for entry in entries], np.uint8),
        validation=np.array([entry[3] for entry in entries]),
    )


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, nargs="+", help="training data, JSON Lines, gzip")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json")
    parser.add_argument("--to", type=Path, required=True, help="file to write, .npz")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    rows = list(read_rows(arguments.rows, held_out=False))
    tokenizer = open_tokenizer(str(arguments.tokenizer))
    made = window_set(windows_of_rows(tokenizer, rows))
    made.save(arguments.to)
    names = [f"{group.name.lower()} {int((made.groups == group).sum())}" for group in Group]
    print(f"{len(made.starts)} windows, {len(made.ids)} tokens: {', '.join(names)}")  # noqa: T201
    print(f"kept for validation: {int(made.validation.sum())} windows")  # noqa: T201


if __name__ == "__main__":
    main()
