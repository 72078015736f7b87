"""Joins words that an added token cuts.

`tokenizers` looks for added tokens before it splits a text into words, inside of words too: with
the added token "covid", "covid19" is two words, and an answer that grows to whole words would be
"19". The model keeps the tokens that it was trained with; here the words are those of the same
tokenizer without added tokens.
"""

import json
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from worker.models.bundle import BundleError


class AddedTokens:
    """The added tokens of a tokenizer, special ones excluded: in texts those are not looked for.

    Immutable: any thread may call it.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Raises `BundleError` for tokens that take the spaces beside them."""
        added = {
            number: token
            for number, token in tokenizer.get_added_tokens_decoder().items()
            if not token.special
        }
        for token in added.values():
            if token.lstrip or token.rstrip:
                side = "lstrip" if token.lstrip else "rstrip"
                raise BundleError(
                    f"the added token {token.content!r} takes the spaces beside it ({side}), which "
                    f"answers would begin or end with; set {side} to false"
                )
        self._ids = np.array(sorted(added), dtype=np.int64)
        self._plain = _without_added_tokens(tokenizer) if added else None

    def word_numbers(self, text: str, encoding: Encoding) -> NDArray[np.int64]:
        """For each of the `n` tokens the number of its word in `text`, int64 (n,)."""
        words = np.array(encoding.word_ids, dtype=np.int64)
        if self._plain is None or not len(words):
            return words
        added = np.isin(encoding.ids, self._ids)
        if not added.any():
            return words
        offsets = np.array(encoding.offsets, dtype=np.int64)
        begins = words[1:] != words[:-1]
        # Tokens without a space between them: only there can a word be cut.
        gaps = np.flatnonzero(offsets[1:, 0] != offsets[:-1, 1]) + 1
        for first, last in pairwise([0, *gaps.tolist(), len(words)]):
            if added[first:last].any():
                stretch = text[offsets[first, 0] : offsets[last - 1, 1]]
                plain = self._plain.encode(stretch, add_special_tokens=False)
                for token in range(first + 1, last):
                    position = int(offsets[token, 0] - offsets[first, 0])
                    word = plain.char_to_word(position)
                    if word is not None and word == plain.char_to_word(position - 1):
                        begins[token - 1] = False
        return np.concatenate(([0], np.cumsum(begins)))


def _without_added_tokens(tokenizer: Tokenizer) -> Tokenizer:
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["special"]]
    plain = Tokenizer.from_str(json.dumps(content))
    plain.encode_special_tokens = True
    return plain
