"""Extended grapheme clusters: what a reader takes for one character.

The rules are those of Unicode Standard Annex 29, as `\\X` of the library `regex` has them. The
standard library has them from Python 3.15 on (`unicodedata.iter_graphemes`).
"""

from bisect import bisect_right

import regex

_CLUSTER = regex.compile(r"\X")

_ALWAYS_ALONE = "\u0300"
"""Below this code point the only cluster of several code points is CR LF."""

_FOLLOWING = regex.compile(
    r"[[\p{M}\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]--[\u202A-\u202E\u2066-\u2069]]*+", regex.V1
)
_FIRST_FOLLOWING = "\u00ad"
"""The lowest code point that `_FOLLOWING` matches: the soft hyphen."""


def end_of_following(text: str, end: int, limit: int) -> int:
    """The end of the marks and format characters that follow `end`; at most `limit`.

    By rule WB4 of the annex they belong to the character before them: combining marks, joiners,
    variation selectors, tags, soft hyphens, directional marks. Two exceptions: the embeddings and
    isolates of bidirectional text are pairs, like brackets. The zero-width space separates words.
    """
    if text[end] < _FIRST_FOLLOWING:
        return end
    following = _FOLLOWING.match(text, end, limit)
    assert following is not None
    return int(following.end())


class Graphemes:
    """Finds the clusters that hold positions of one text. Positions are code points.

    Reads only the neighbourhood of a position. Keeps the clusters found, so that a search for many
    positions of one long cluster reads it once.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts: list[int] = []
        self._ends: list[int] = []

    def cover(self, start: int, end: int) -> tuple[int, int]:
        """The smallest span of whole clusters that covers `start` to `end`."""
        return self._around(start)[0], self._around(end)[1]

    def _around(self, position: int) -> tuple[int, int]:
        """Start and end of the cluster that `position` divides; `position` twice if none."""
        if self._is_border(position):
            return position, position
        place = bisect_right(self._starts, position)
        if place and position < self._ends[place - 1]:
            return self._starts[place - 1], self._ends[place - 1]
        start = position - 1
        while not self._is_border(start):
            start -= 1
        end = int(_CLUSTER.match(self._text, start).end())
        self._starts.insert(place, start)
        self._ends.insert(place, end)
        return start, end

    def _is_border(self, position: int) -> bool:
        text = self._text
        if not 0 < position < len(text):
            return True
        before, after = text[position - 1], text[position]
        if before < _ALWAYS_ALONE and after < _ALWAYS_ALONE:
            return (before, after) != ("\r", "\n")
        # A match from within a cluster ends where the cluster does: `regex` reads what lies before.
        return int(_CLUSTER.match(text, position - 1, position + 1).end()) == position
