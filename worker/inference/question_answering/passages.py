"""Splits passages into windows, within one limit for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.question import Passage
from schemas.rejection import Reason, Rejected
from worker.inference.question_answering.windows import EncodedContext, Windower
from worker.inference.window import Window


@dataclass(frozen=True, slots=True)
class SplitPassage:
    """A passage with its tokens and its windows, none if it has no token."""

    passage: Passage
    context: EncodedContext
    windows: Sequence[Window]


def check_number(passages: Sequence[Passage], max_contexts: int) -> None:
    """Raises `Rejected` for more than `max_contexts` passages."""
    if len(passages) > max_contexts:
        raise Rejected(
            Reason.CONTEXT_TOO_LONG,
            f"the question has {len(passages)} contexts, the limit is {max_contexts}",
        )


def split_passages(
    windower: Windower,
    question: NDArray[np.int64],
    passages: Sequence[Passage],
    *,
    stride: int,
    max_windows: int,
) -> list[SplitPassage]:
    """Tokenizes and splits each passage; `question` has the question's token ids.

    No text is tokenized beyond the windows that those before it have left. Raises `Rejected` if
    all passages together need more than `max_windows`.
    """
    split: list[SplitPassage] = []
    left = max_windows
    for passage in passages:
        limit = windower.max_context_tokens(question, stride=stride, max_windows=left)
        context = windower.tokenize_context(passage.text, max_tokens=limit)
        if len(passages) > 1 and len(context.ids) > limit:
            # In words that do not depend on the order of the passages.
            raise Rejected(
                Reason.CONTEXT_TOO_LONG,
                f"the {len(passages)} contexts take more than {max_windows} windows of "
                f"{windower.max_tokens} tokens, the limit",
            )
        windows = windower.split(question, context, stride=stride, max_windows=left)
        left -= len(windows)
        split.append(SplitPassage(passage, context, windows))
    return split
