"""Words of a text as BERT's tokenizers see them, found from the characters alone.

Asks no tokenizer, so that a tokenizer's offsets can be held against it. The rules are those of
the published BasicTokenizer (google-research/bert, tokenization.py) as `tokenizers` has them; its
Unicode tables are older than Python's, so some punctuation marks of recent years are letters there.
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
    """What a character is to words."""

    SPACE = auto()
    """Parts words, and is in none."""
    DROPPED = auto()
    """Controls, formats (ZWJ, soft hyphen, BOM) and private ones: cleaned away, so a word goes on
    behind them."""
    ALONE = auto()
    """Punctuation and CJK ideographs: each is a word."""
    LETTER = auto()
    """All others, marks and unassigned ones included."""


@dataclass(frozen=True, slots=True)
class Words:
    """`starts`: where a word starts; `ends`: where one ends, exclusive. In code points."""

    starts: frozenset[int]
    ends: frozenset[int]


def kind(character: str) -> Kind:
    """The character's kind."""
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
    """A word is a character that stands alone, or a run of letters with nothing but dropped
    characters between them, from its first letter to its last and the format characters behind it.
    """
    starts, ends = set(), set()
    before = Kind.SPACE
    end = 0
    for place, character in enumerate(text):
        now = kind(character)
        if now is Kind.DROPPED:
            if end == place and follows(character):
                end = place + 1
            continue
        if before is not Kind.LETTER or now is not Kind.LETTER:
            if before is not Kind.SPACE:
                ends.add(end)
            if now is not Kind.SPACE:
                starts.add(place)
        before, end = now, place + 1
    if before is not Kind.SPACE:
        ends.add(end)
    return Words(frozenset(starts), frozenset(ends))
