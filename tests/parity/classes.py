"""Where our reader and Hugging Face's pipeline (transformers 4.57) part, each with its decision.

A member is a switch of the emulation in `reference`: on, it does as the pipeline does; off, as
our reader does. A difference belongs to those switches without which it would not be there.
"""

from enum import Enum


class Difference(Enum):
    """One way in which the pipeline differs from us, and why we stay as we are."""

    ROUNDING = "rounding of logits"
    """torch's logits differ from onnxruntime's in the sixth digit, and two spans are as near to
    each other as that. Neither is right."""

    REFUSED = "questions refused"
    """The pipeline reads a question that leaves almost no room to its context, and raises or panics
    on the next longer one. We reject, with a reason, a question longer than half a window, and one
    in which there is nothing to read."""

    SPECIAL_TOKENS = "typed special tokens"
    """The pipeline takes "[CLS]" or "[SEP]" typed by a user for the real token, and a "[CLS]" in
    the question even for a possible answer. A user's text must not steer the model: to us it is
    text like any other."""

    STRIDE = "stride past half"
    """The pipeline lets neighbouring windows share nearly all they hold, so that a long question
    makes hundreds of windows. Ours share half of it at most."""

    BLANK = "blank context"
    """Of a context without a readable token the pipeline gives an empty answer of score 0, or no
    answer at all, or one of score 1 where there may be none. We always give the empty answer, with
    score 0: nothing was read."""

    JUNK = "impossible spans"
    """Where a window holds fewer spans than the pipeline asks for, it fills up with pairs of
    tokens of score 0 that are no spans: the end before the start, too long, or from [CLS]. We
    return fewer."""

    MARKS = "marks and clusters"
    """BERT's normalizer drops format characters, an uncased one also combining marks. They belong
    to no token, and the pipeline cuts them off the answer. And a token may end within a grapheme
    cluster (Hangul syllables, Indic conjuncts, emoji). We leave clusters whole."""

    WORD_IN_WINDOW = "words cut by windows"
    """The pipeline grows an answer to the part of its word that stands in the window. We grow it
    to the whole word, wherever windows were cut."""

    ORDER = "order of ties"
    """Spans of the same score come in no order from numpy's partition, and stay in that of the
    windows. Ours come in the order of the text, always."""

    CUT_FIRST = "cut before merging"
    """The pipeline takes the best 2 * top_k + 10 pairs of tokens of a window (top_k of them where
    answers do not grow to words) and then throws out and merges, so that it can return fewer
    answers than asked for, and forget the rest of a sum. We cut last."""

    ADD_TEXT = "scores of one text added"
    """Answers of the same text, upper and lower case apart, are one answer to the pipeline
    wherever they stand, with the sum of their scores and the first's place. To us a place is an
    answer: a word that occurs twice is not more certain."""

    ADD_WINDOWS = "scores of two windows added"
    """A span that two windows share is counted twice by the pipeline, with scores up to 2. We
    count it once, with its better score."""

    ADD_WORD = "scores of one word added"
    """Spans of tokens that grow to one span of words are added up by the pipeline, as far as they
    are among those it looks at. We take the best."""


EVERYTHING = frozenset(Difference)
NOTHING: frozenset[Difference] = frozenset()
