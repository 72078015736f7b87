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
from tokenizers import Tokenizer

from worker.inference.text_encoder import TextEncoder, Tokens
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
        self._plain = TextEncoder(_without_added_tokens(tokenizer)) if added else None

    def word_begins(self, text: str, tokens: Tokens) -> NDArray[np.bool_]:
        """For each of the `n` tokens whether it is the first of its word in `text`, bool (n,)."""
        if self._plain is None:
            return tokens.begins
        added = np.isin(tokens.ids, self._ids)
        if not added.any():
            return tokens.begins
        offsets, begins = tokens.offsets, tokens.begins.copy()
        # Tokens without a space between them: only there can a word be cut.
        gaps = np.flatnonzero(offsets[1:, 0] != offsets[:-1, 1]) + 1
        for first, last in pairwise([0, *gaps.tolist(), len(tokens)]):
            if added[first:last].any():
                start, end = offsets[first, 0], offsets[last - 1, 1]
                plain = self._plain.encode(text[start:end])
                borders = offsets[first + 1 : last, 0] - start
                begins[first + 1 : last] &= ~plain.divides_word(borders)
        return begins


def _without_added_tokens(tokenizer: Tokenizer) -> Tokenizer:
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["special"]]
    plain = Tokenizer.from_str(json.dumps(content))
    plain.encode_special_tokens = True
    return plain
