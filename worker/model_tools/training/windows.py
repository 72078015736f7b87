"""Rows as windows of token ids with the positions of the answer.

Windows are as in serving: [CLS] question [SEP] context [SEP], with an overlap of the context. A
window without the answer has start and end at [CLS].
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tokenizers import Encoding, Tokenizer

from worker.model_tools.training.rows import Row

MAX_TOKENS = 384
STRIDE = 128
MAX_QUESTION_TOKENS = 64
CLS, SEP, MASK = 101, 102, 103
TOKENIZED_TOGETHER = 1000
"""Rows. The tokenizer uses all cores for them."""


@dataclass(frozen=True, slots=True)
class TrainingWindow:
    """Token ids, and the tokens that the answer starts and ends at, both inclusive; 0 is [CLS]."""

    ids: list[int]
    start: int
    end: int
    context: int
    """The first token of the context."""


def open_tokenizer(path: str) -> Tokenizer:
    """The tokenizer without the padding and truncation of its file."""
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def windows_of_rows(
    tokenizer: Tokenizer, rows: Sequence[Row]
) -> Iterator[tuple[Row, list[TrainingWindow]]]:
    """Each row with all of its windows."""
    for begin in range(0, len(rows), TOKENIZED_TOGETHER):
        part = rows[begin : begin + TOKENIZED_TOGETHER]
        questions = tokenizer.encode_batch([row.question for row in part], add_special_tokens=False)
        contexts = tokenizer.encode_batch([row.context for row in part], add_special_tokens=False)
        for row, question, context in zip(part, questions, contexts, strict=True):
            yield row, _windows(row, question.ids[:MAX_QUESTION_TOKENS], context)


def _windows(row: Row, question: list[int], context: Encoding) -> list[TrainingWindow]:
    capacity = MAX_TOKENS - len(question) - 3
    first = len(question) + 2
    ids, offsets = context.ids, context.offsets
    windows = []
    for begin in range(0, max(1, len(ids) - STRIDE), capacity - STRIDE):
        answer = _answer_tokens(offsets[begin : begin + capacity], row)
        start, end = (first + answer[0], first + answer[1]) if answer else (0, 0)
        tokens = [CLS, *question, SEP, *ids[begin : begin + capacity], SEP]
        windows.append(TrainingWindow(tokens, start, end, context=first))
    return windows


def _answer_tokens(offsets: list[tuple[int, int]], row: Row) -> tuple[int, int] | None:
    """First and last token of the answer, if the window holds all of it."""
    if row.start is None or row.end is None or not offsets:
        return None
    if offsets[0][0] > row.start or offsets[-1][1] < row.end:
        return None
    inside = [
        number for number, (start, end) in enumerate(offsets) if end > row.start and start < row.end
    ]
    return (inside[0], inside[-1]) if inside else None
