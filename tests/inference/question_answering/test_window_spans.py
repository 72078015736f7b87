"""The best spans of one window: the work of the search."""

import numpy as np

from worker.inference.question_answering.graphemes import Graphemes
from worker.inference.question_answering.window_spans import TokenProbabilities, best_spans
from worker.inference.question_answering.windows import EncodedContext
from worker.inference.window import Window


class CountingGraphemes(Graphemes):
    """Counts the spans that are looked at one by one."""

    looked_at = 0

    def cover(self, start: int, end: int) -> tuple[int, int]:
        self.looked_at += 1
        return super().cover(start, end)


def test_spans_within_long_words_are_looked_at_once() -> None:
    """Four words of 100 tokens each: 34,050 spans of at most 100 tokens, but seven of whole words.

    One by one they took 0.4 s for each window of a text of such words.
    """
    tokens = np.arange(400)
    words = tokens // 100 * 100
    context = EncodedContext(tokens, tokens, tokens + 1, words, words + 99)
    window = Window(ids=tokens, types=tokens, offset=0, first=0, count=400)
    rng = np.random.default_rng(0)
    graphemes = CountingGraphemes("x" * 400)
    found = best_spans(
        TokenProbabilities(window, rng.random(400), rng.random(400)),
        context,
        graphemes,
        20,
        max_answer_tokens=100,
        align_to_words=True,
    )
    assert len(found) == 7
    assert graphemes.looked_at < 100
