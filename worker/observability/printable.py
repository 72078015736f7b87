"""Escapes characters that control a terminal, in texts for log lines and command output."""

import re

_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
"""C0 without tab and line feed, DEL, C1; line and paragraph separator; the embeddings, overrides
and isolates of bidirectional texts (Trojan Source, CVE-2021-42574); surrogates, which no encoding
can write."""

_IN_LINES = re.compile(f"[{_CONTROLS}]")
_IN_ONE_LINE = re.compile(f"[\t\n{_CONTROLS}]")
_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""JSON always escapes C0, and cannot hold surrogates."""


def printable(text: str, *, lines: bool = False) -> str:
    r"""Returns `text` with control characters escaped as in Python: `\x1b`, `\n`, `\u202e`.

    All other characters are unchanged, including joiners and marks. With `lines`, tabs and line
    feeds are unchanged too.
    """
    pattern = _IN_LINES if lines else _IN_ONE_LINE
    return pattern.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def printable_json(document: str) -> str:
    r"""Returns an equal JSON document with the control characters that JSON allows escaped.

    Parsers decode an escape such as `\u009b` to the same character; terminals do not execute it.
    """
    return _IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", document)
