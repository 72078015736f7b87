"""Measures whether a window's outputs depend on the other windows of its batch.

The operators of a graph do not tell it all: a graph without a mask sees padding, and float16 rounds
in another order in another shape. So windows run alone and in batches, and their outputs are
compared bit by bit.
"""

import random
from collections.abc import Sequence

import numpy as np

from worker.inference.onnx_session import OnnxSession, Outputs
from worker.inference.window import Window
from worker.models.bundle import BundleError

_LONGEST = 128
"""Tokens of the longest window of most batches. All batches together are about 6,000 tokens: four
seconds of one core for a float32 model of DistilBERT-base's size."""
_PARTS = (1, 3 / 4, 1 / 2, 1 / 2, 1 / 3, 1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 16, 1 / 32, 1 / 64)
"""The windows' lengths, as parts of the longest."""
_SHORTEST = 3
"""Tokens of a window with one token of text."""
_BATCH = 4


def is_batch_invariant(session: OnnxSession, *, max_tokens: int, vocabulary: int) -> bool:
    """Whether the outputs of windows in batches are bit-equal to those of the windows alone.

    `max_tokens` is the longest window, `vocabulary` the number of token ids. The windows hold
    random ids; each runs with companions of its own length and of other lengths, in different
    rows. Raises `BundleError` if windows run alone but not together.
    """
    windows = _windows(min(max_tokens, _LONGEST), vocabulary)
    batches = [windows]
    for seed in range(2):
        shuffled = list(windows)
        random.Random(seed).shuffle(shuffled)  # noqa: S311
        batches += [shuffled[i : i + _BATCH] for i in range(0, len(shuffled), _BATCH)]
    # Neighbours in length, as the engine batches them.
    batches += [windows[i : i + 2] for i in range(1, len(windows), 2)]
    # The most padding that there can be.
    batches.append([windows[-1], _window(max_tokens, vocabulary, seed=0)])
    alone: dict[int, Outputs] = {}
    for batch in batches:
        for window, outputs in zip(batch, _run(session, batch), strict=True):
            if id(window) not in alone:
                alone[id(window)] = session.run([window])[0]
            if not _bit_equal(outputs, alone[id(window)]):
                return False
    return True


def _windows(longest: int, vocabulary: int) -> list[Window]:
    lengths = [max(_SHORTEST, int(longest * part)) for part in _PARTS]
    return [_window(length, vocabulary, seed) for seed, length in enumerate(lengths, 1)]


def _window(length: int, vocabulary: int, seed: int) -> Window:
    return Window(
        ids=np.random.default_rng(seed).integers(0, vocabulary, length, np.int64),
        types=np.zeros(length, np.int64),
        offset=1,
        first=0,
        count=length - 2,
    )


def _run(session: OnnxSession, batch: Sequence[Window]) -> list[Outputs]:
    try:
        return session.run(batch)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise BundleError(
            f"{session.model_file}: {len(batch)} windows in a batch do not run; export it with a "
            f"dynamic batch axis: {reason}"
        ) from None


def _bit_equal(one: Outputs, other: Outputs) -> bool:
    return all(
        left.shape == right.shape and left.tobytes() == right.tobytes()
        for left, right in zip(one, other, strict=True)
    )
