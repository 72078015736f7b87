"""Questions with contexts, as numbers of windows, cut into batches of about one length. Pure numpy.

A pair takes the question of one window and the context of another, most often of the same one.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from worker.model_tools.training.window_set import WindowSet
from worker.model_tools.training.windows import MAX_TOKENS

MULTIPLE = 16
"""Padded lengths are multiples of it."""
OTHER_CONTEXT_SHARE = 0.3
"""Share of the questions that get another context, half of them one of the same article."""

Numbers = NDArray[np.int64]


def padded(tokens: int) -> int:
    """The next multiple of `MULTIPLE`."""
    return -(-tokens // MULTIPLE) * MULTIPLE


def pair_lengths(windows: WindowSet, questions: Numbers, contexts: Numbers) -> Numbers:
    """Tokens of each pair, (n,): a context that is too long for its question is cut."""
    ends = windows.begins[contexts + 1] - windows.begins[contexts] - windows.contexts[contexts]
    return np.minimum(windows.contexts[questions] + ends, MAX_TOKENS)


def cut(
    windows: WindowSet, questions: Numbers, contexts: Numbers, *, max_tokens: int
) -> Iterator[tuple[Numbers, Numbers]]:
    """The pairs in parts of at most `max_tokens` padded tokens, the short ones first."""
    lengths = pair_lengths(windows, questions, contexts)
    order = np.argsort(lengths, kind="stable")
    begin = 0
    for end in range(1, len(order) + 1):
        if end < len(order):
            longest = padded(int(lengths[order[end]]))
            if (end + 1 - begin) * longest <= max_tokens:
                continue
        yield questions[order[begin:end]], contexts[order[begin:end]]
        begin = end


def other_contexts(windows: WindowSet, chosen: Numbers, generator: np.random.Generator) -> Numbers:
    """For each window the one that its context is taken from: most often itself.

    No context is from the validation articles if no window is.
    """
    kind = generator.random(len(chosen))
    articles = windows.articles
    first = np.searchsorted(articles, articles[chosen], side="left")
    after = np.searchsorted(articles, articles[chosen], side="right")
    same = first + (generator.random(len(chosen)) * (after - first)).astype(np.int64)
    anywhere = generator.choice(np.flatnonzero(~windows.validation), len(chosen))
    return np.select(
        [kind < OTHER_CONTEXT_SHARE / 2, kind < OTHER_CONTEXT_SHARE], [same, anywhere], chosen
    )
