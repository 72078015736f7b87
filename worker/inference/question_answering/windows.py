"""Splits a question and its context into windows of at most `max_tokens` tokens.

Both texts are tokenized once, each alone and not beyond its limit; windows are slices of the
context's tokens in the model's pair template. The result equals that of `tokenizers` with
`only_second` truncation, for any stride, without truncation state in a tokenizer that threads
share.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.rejection import Reason, Rejected
from worker.inference.question_answering.added_tokens import AddedTokens
from worker.inference.question_answering.graphemes import end_of_following
from worker.inference.text_encoder import TextEncoder
from worker.inference.tokenizer import check_offsets, open_tokenizer, pair_template
from worker.inference.window import Window, window_starts
from worker.models.bundle import Bundle, BundleError

SPECIAL_TOKENS = 3
"""[CLS] question [SEP] context [SEP]"""


@dataclass(frozen=True, slots=True)
class EncodedContext:
    """The `n` tokens of a context, with their positions in code points.

    ids        int64 (n,)  token ids
    starts     int64 (n,)  where a token's text starts in the context
    ends       int64 (n,)  where it ends, exclusive, with the marks and the format
                           characters that the normalizer dropped after it
    word_first int64 (n,)  index of the first token of the word that the token belongs to
    word_last  int64 (n,)  index of the last token of that word
    whole                  false if the context has more tokens than these
    """

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    word_first: NDArray[np.int64]
    word_last: NDArray[np.int64]
    whole: bool = True


class Windower:
    """Splits questions for one bundle. Immutable: any thread may call it."""

    def __init__(self, bundle: Bundle, *, max_tokens: int) -> None:
        """`max_tokens` bounds a window, special tokens included. Raises `BundleError`."""
        tokenizer = open_tokenizer(bundle.tokenizer_file)
        self._template = pair_template(tokenizer, bundle.tokenizer_file)
        check_offsets(tokenizer, bundle.tokenizer_file)
        try:
            self._added = AddedTokens(tokenizer)
        except BundleError as error:
            raise BundleError(f"{bundle.tokenizer_file}: {error}") from None
        self._encoder = TextEncoder(tokenizer)
        self.max_tokens = max_tokens

    def tokenize_question(self, text: str, *, max_tokens: int) -> NDArray[np.int64]:
        """The question's token ids. Raises `Rejected` if there are none or too many."""
        # Check the length before a pair is built: `tokenizers` panics, with a BaseException, if a
        # question leaves no space for its context.
        tokens = self._encoder.encode(text, max_tokens=max_tokens)
        if not len(tokens):
            raise Rejected(Reason.SCHEMA, "question: holds nothing that the model can read")
        if len(tokens) > max_tokens:
            at_least = "" if tokens.whole else "at least "
            raise Rejected(
                Reason.QUESTION_TOO_LONG,
                f"the question has {at_least}{len(tokens)} tokens, the limit is {max_tokens}",
            )
        return tokens.ids

    def max_context_tokens(
        self, question: NDArray[np.int64], *, stride: int, max_windows: int
    ) -> int:
        """The number of context tokens that fit in `max_windows` windows. `split` rejects more."""
        capacity, stride = self._capacity(question, stride)
        return capacity + (max_windows - 1) * (capacity - stride) if max_windows else 0

    def tokenize_context(self, text: str, *, max_tokens: int | None = None) -> EncodedContext:
        """The context's tokens; none if the tokenizer drops all of its characters.

        Stops after `max_tokens`: a context that has more is not whole.
        """
        tokens = self._encoder.encode(text, max_tokens=max_tokens)
        first, last = _word_bounds(self._added.word_begins(text, tokens))
        return EncodedContext(
            ids=tokens.ids,
            starts=tokens.offsets[:, 0],
            ends=_with_following(text, tokens.offsets),
            word_first=first,
            word_last=last,
            whole=tokens.whole,
        )

    def split(
        self,
        question: NDArray[np.int64],
        context: EncodedContext,
        *,
        stride: int,
        max_windows: int,
    ) -> list[Window]:
        """The windows of the pair, in the order of the context; none for a context without tokens.

        Caps the stride at half of the context tokens of a window: a larger one would turn a long
        question into hundreds of windows. Raises `Rejected` if more than `max_windows` are needed.
        """
        tokens = len(context.ids)
        if not tokens:
            return []
        capacity, stride = self._capacity(question, stride)
        needed = 1 + -(-max(0, tokens - capacity) // (capacity - stride))
        if needed > max_windows:
            at_least = "" if context.whole else "at least "
            raise Rejected(
                Reason.CONTEXT_TOO_LONG,
                f"the context has {at_least}{tokens} tokens, which takes {at_least}{needed} "
                f"windows of {self.max_tokens}; the limit is {max_windows} windows",
            )
        head = np.concatenate(([self._template.cls], question, [self._template.sep]))
        return [
            self._window(head, context.ids[first : first + count], first)
            for first, count in window_starts(tokens, capacity, stride)
        ]

    def _window(self, head: NDArray[np.int64], tokens: NDArray[np.int64], first: int) -> Window:
        ids = np.concatenate((head, tokens, [self._template.sep]))
        types = np.zeros(len(ids), dtype=np.int64)
        types[len(head) :] = self._template.context_type
        return Window(ids=ids, types=types, offset=len(head), first=first, count=len(tokens))

    def _capacity(self, question: NDArray[np.int64], stride: int) -> tuple[int, int]:
        """How many context tokens fit in a window, and the stride, at most half of them."""
        capacity = self.max_tokens - len(question) - SPECIAL_TOKENS
        return capacity, min(stride, capacity // 2)


def _word_bounds(is_first: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each token the first and the last index of its word's tokens."""
    begins = np.flatnonzero(is_first)
    lengths = np.diff(np.append(begins, len(is_first)))
    return np.repeat(begins, lengths), np.repeat(begins + lengths - 1, lengths)


def _with_following(text: str, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Token ends, moved after the marks and format characters that belong to no token.

    BERT's normalizer drops format characters, an uncased one accents also: the token of a
    decomposed "é" ends before its accent, and an answer that ended there would lose it.
    """
    ends = offsets[:, 1].copy()
    if text.isascii():
        return ends
    limits = np.append(offsets[1:, 0], len(text))
    for i in np.flatnonzero(ends < limits):
        ends[i] = end_of_following(text, int(ends[i]), int(limits[i]))
    return ends
