"""Finds the words of a text by the rules of BERT's tokenizers, without a tokenizer.

The offsets of a tokenizer can so be checked against it. The rules are those of the BasicTokenizer
(google-research/bert, tokenization.py), as `tokenizers` implements them. The Unicode tables of
`tokenizers` are older than Python's, so it treats some recent punctuation marks as letters.
"""

import string
import unicodedata
from dataclasses import dataclass
from enum import Enum, auto

_ASCII_PUNCTUATION = frozenset(string.punctuation)
_DROPPED = frozenset({"Cc", "Cf", "Co"})
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
_STANDING_APART = frozenset(
    "\u200b\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)


class Kind(Enum):
    """The role of a character in the rules for words."""

    SPACE = auto()
    """Separates words, and belongs to no word."""
    DROPPED = auto()
    """Control, format (ZWJ, soft hyphen, BOM) and private-use characters. The tokenizer removes
    them, so they do not end a word."""
    ALONE = auto()
    """Punctuation and CJK ideographs: each character is a word."""
    LETTER = auto()
    """All other characters, including marks and unassigned ones."""


@dataclass(frozen=True, slots=True)
class Words:
    """Offsets of the starts and (exclusive) ends of words, in code points."""

    starts: frozenset[int]
    ends: frozenset[int]


def kind_of(character: str) -> Kind:
    if character in "\t\n\r":
        return Kind.SPACE
    category = unicodedata.category(character)
    if category in _DROPPED or character == "\ufffd":
        return Kind.DROPPED
    if category.startswith("Z"):
        return Kind.SPACE
    if category.startswith("P") or character in _ASCII_PUNCTUATION:
        return Kind.ALONE
    code = ord(character)
    if any(first <= code <= last for first, last in _IDEOGRAPHS):
        return Kind.ALONE
    return Kind.LETTER


def follows(character: str) -> bool:
    """Whether it belongs to the character before it, by rule WB4 of Unicode Standard Annex 29.

    Combining marks, and format characters: but not those that stand before others (the Arabic
    number sign), the zero-width space, and the brackets of bidirectional text.
    """
    category = unicodedata.category(character)
    if category != "Cf":
        return category.startswith("M")
    return character not in _STANDING_APART


def words_of(text: str) -> Words:
    """Returns the words of the text.

    A word is one `ALONE` character, or a sequence of letters that only dropped characters
    interrupt, from its first letter to its last and the format characters behind it.
    """
    starts, ends = set(), set()
    previous = Kind.SPACE
    end = 0
    for index, character in enumerate(text):
        kind = kind_of(character)
        if kind is Kind.DROPPED:
            if end == index and follows(character):
                end = index + 1
            continue
        if previous is not Kind.LETTER or kind is not Kind.LETTER:
            if previous is not Kind.SPACE:
                ends.add(end)
            if kind is not Kind.SPACE:
                starts.add(index)
        previous, end = kind, index + 1
    if previous is not Kind.SPACE:
        ends.add(end)
    return Words(frozenset(starts), frozenset(ends))
