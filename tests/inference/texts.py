"""Texts for property tests: words, scripts, marks, and all of Unicode."""

from hypothesis import strategies as st

from schemas.answer import OffsetUnit

PIECES = [
    "Paris",
    "unbelievably",
    "naïve",
    "cafe\u0301",
    "Ελλάδα",
    "東京",
    "مرحبا",
    "한국어",
    "हिन्दी",
    "👩‍👩‍👧",
    "🇫🇷",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "ab\u200c",
    "\u00ad",
    "3.14",
    "don't",
    "...",
    "##ing",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "\u0301",
    "\u200b",
    "\x00",
    "\n",
]

ANYTHING = st.text(max_size=30)
"""Code points of every kind; lone surrogates are no text."""

LONG = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=80).map(" ".join)
"""Up to some hundred tokens."""


def cut(text: str, start: int, end: int, unit: OffsetUnit) -> str:
    """What a client in a language with these strings cuts out of the text."""
    if unit == "utf16":
        return text.encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le")
    if unit == "bytes":
        return text.encode()[start:end].decode()
    return text[start:end]
