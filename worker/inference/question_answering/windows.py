"""Splits a question and its context into windows of at most `max_tokens` tokens.

Both texts are tokenized once, each alone; windows are slices of the context's tokens in the model's
pair template. The result equals that of `tokenizers` with `only_second` truncation, for any stride,
without truncation state in a tokenizer that threads share.
"""

import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from schemas.rejection import Reason, Rejected
from worker.inference.question_answering.added_tokens import AddedTokens
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
    ends       int64 (n,)  where it ends, exclusive, with the combining marks that the
                           normalizer dropped after it
    word_first int64 (n,)  index of the first token of the word that the token belongs to
    word_last  int64 (n,)  index of the last token of that word
    """

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    word_first: NDArray[np.int64]
    word_last: NDArray[np.int64]


class Windower:
    """Splits questions for one bundle. Immutable: any thread may call it."""

    def __init__(self, bundle: Bundle, *, max_tokens: int) -> None:
        """`max_tokens` bounds a window, special tokens included. Raises `BundleError`."""
        self._tokenizer = open_tokenizer(bundle.tokenizer_file)
        self._template = pair_template(self._tokenizer, bundle.tokenizer_file)
        check_offsets(self._tokenizer, bundle.tokenizer_file)
        try:
            self._added = AddedTokens(self._tokenizer)
        except BundleError as error:
            raise BundleError(f"{bundle.tokenizer_file}: {error}") from None
        self._max_tokens = max_tokens

    def tokenize_question(self, text: str, *, max_tokens: int) -> NDArray[np.int64]:
        """The question's token ids. Raises `Rejected` if there are none or too many."""
        # Check the length before a pair is built: `tokenizers` panics, with a BaseException, if a
        # question leaves no space for its context.
        ids = np.array(self._encode(text).ids, dtype=np.int64)
        if not len(ids):
            raise Rejected(Reason.SCHEMA, "question: holds nothing that the model can read")
        if len(ids) > max_tokens:
            raise Rejected(
                Reason.QUESTION_TOO_LONG,
                f"the question has {len(ids)} tokens, the limit is {max_tokens}",
            )
        return ids

    def tokenize_context(self, text: str) -> EncodedContext:
        """The context's tokens; none if the tokenizer drops all of its characters."""
        encoding = self._encode(text)
        offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        first, last = _word_bounds(self._added.word_numbers(text, encoding))
        return EncodedContext(
            ids=np.array(encoding.ids, dtype=np.int64),
            starts=offsets[:, 0],
            ends=_with_marks(text, offsets),
            word_first=first,
            word_last=last,
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
        capacity = self._max_tokens - len(question) - SPECIAL_TOKENS
        stride = min(stride, capacity // 2)
        needed = 1 + -(-max(0, tokens - capacity) // (capacity - stride))
        if needed > max_windows:
            raise Rejected(
                Reason.CONTEXT_TOO_LONG,
                f"the context has {tokens} tokens, which takes {needed} windows of "
                f"{self._max_tokens}; the limit is {max_windows} windows",
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

    def _encode(self, text: str) -> Encoding:
        return self._tokenizer.encode(text, add_special_tokens=False)


def _word_bounds(words: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each token the first and the last index of the run of tokens with its word number."""
    n = len(words)
    if not n:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    begins = np.flatnonzero(np.concatenate(([True], words[1:] != words[:-1])))
    lengths = np.diff(np.append(begins, n))
    return np.repeat(begins, lengths), np.repeat(begins + lengths - 1, lengths)


def _with_marks(text: str, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Token ends, moved after the combining marks that belong to no token.

    An uncased BERT normalizer drops accents: the token of a decomposed "é" ends before its
    accent, and an answer that ended there would lose it.
    """
    ends = offsets[:, 1].copy()
    if text.isascii():
        return ends
    limits = np.append(offsets[1:, 0], len(text))
    for i in np.flatnonzero(ends < limits):
        end, limit = int(ends[i]), int(limits[i])
        while end < limit and unicodedata.category(text[end]).startswith("M"):
            end += 1
        ends[i] = end
    return ends
