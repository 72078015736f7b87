"""The known differences between the worker and Hugging Face's pipeline (transformers 4.57).

Each member is a switch of the emulation (`emulation.py`): on, the emulation behaves as the
pipeline; off, as the worker. The docstring of a member gives the reason for the worker's behaviour.
"""

from enum import Enum


class Difference(Enum):
    """A switch of the emulation. Its value is the name in tables."""

    ROUNDING = "rounding of logits"
    """torch's logits differ from onnxruntime's in the sixth digit, which changes the order of spans
    with nearly equal scores. Neither order is more correct."""

    REJECTED_QUESTION = "rejected questions"
    """The pipeline accepts a question that leaves almost no tokens for the context, and raises an
    exception or panics if the question is longer. The worker rejects a question longer than half a
    window, and one without a token, with a reason."""

    SPECIAL_TOKENS = "typed special tokens"
    """The pipeline encodes "[CLS]" or "[SEP]" in a user's text as the special token, and treats a
    "[CLS]" in the question as a possible answer. The worker encodes them as plain text, since a
    user's text must not control the model."""

    STRIDE = "stride above half a window"
    """In the pipeline neighbouring windows can overlap almost completely, so a long question causes
    hundreds of windows. In the worker windows overlap by at most half of their context tokens."""

    BLANK_CONTEXT = "blank context"
    """For a context without tokens the pipeline returns an empty answer with score 0, or no answer,
    or, with `handle_impossible_answer`, an empty answer with score 1. The worker always returns the
    empty answer with score 0."""

    IMPOSSIBLE_SPANS = "impossible spans"
    """If a window has fewer spans than the pipeline needs, the pipeline adds pairs of tokens with
    score 0 that are not spans: the end is before the start, or the pair is too long, or it contains
    [CLS]. The worker returns fewer spans."""

    GRAPHEME_CLUSTERS = "marks and grapheme clusters"
    """BERT's normalizer drops format characters, an uncased one also combining marks. They are in
    no token, and the pipeline's answer ends before them. A token may also end within a grapheme
    cluster (Hangul syllables, Indic conjuncts, emoji). The worker's answer keeps clusters whole."""

    CUT_WORD = "words cut by windows"
    """The pipeline extends an answer to the part of the word inside the window. The worker extends
    it to the whole word."""

    TIE_ORDER = "order of ties"
    """In the pipeline the order of spans with equal scores depends on numpy's partition and on the
    windows. The worker sorts them by their offsets."""

    LIMIT_BEFORE_MERGE = "limit before merging"
    """The pipeline takes the best 2 * top_k + 10 pairs of tokens of a window (top_k pairs without
    word alignment) before it drops impossible pairs and merges, so it can return fewer than top_k
    answers, and its sums can lack a part. The worker applies top_k at the end."""

    SUM_SAME_TEXT = "scores of one text added"
    """The pipeline merges answers with the same text, ignoring case, into one answer with the sum
    of the scores and the offsets of the first. The worker keeps them separate: a text that occurs
    twice is not a more certain answer."""

    SUM_WINDOWS = "scores of two windows added"
    """The pipeline adds the scores of a span that is in two windows, so scores reach 2. The worker
    takes the higher score."""

    SUM_SAME_WORD = "scores of one word added"
    """The pipeline adds the scores of token spans that extend to the same words, as far as they are
    among the pairs that it takes. The worker takes the highest score."""


ALL_DIFFERENCES = frozenset(Difference)
NO_DIFFERENCES: frozenset[Difference] = frozenset()
