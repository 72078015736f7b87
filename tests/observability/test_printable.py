"""`printable`: control characters are escaped, all other characters stay."""

import json

import pytest

from worker.observability.printable import printable, printable_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07\x1b[2J", r"\x1b]0;owned\x07\x1b[2J"),
        ("\x00\x08\x7f", r"\x00\x08\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("\u202edrowssap\u202c \u2066x\u2069", r"\u202edrowssap\u202c \u2066x\u2069"),
        ("\udcff", r"\udcff"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "chr7:100:200 :rocket: [bold]b[/bold]",
        "C:\\new\\table",
        "👩🏽‍🚀 🏴󠁧󠁢󠁥󠁮󠁧󠁿 می‌خواهم",
        "a\u00a0b\u00adc\u200bd\ufeff",
        "שלום\u200f!",
        "\ue000\U0010ffff",
    ],
)
def test_other_characters_stay(text: str) -> None:
    assert printable(text) == text


def test_lines_and_tabs_stay_where_they_are_meant() -> None:
    assert printable("a\n\tb\r\n\x1b", lines=True) == "a\n\tb\\r\n\\x1b"


def test_json_keeps_its_meaning_without_raw_controls() -> None:
    texts = [
        "\x1b[2J",
        "\x9b31m\x7f\x85",
        "\u202ex\u2066\u2028",
        "naïve 東京 👩🏽‍🚀 \\u202e",
        "a:100:b",
    ]
    document = json.dumps(texts, ensure_ascii=False)
    shown = printable_json(document)
    assert json.loads(shown) == texts
    assert not set(shown) & set("\x1b\x9b\x7f\x85\u202e\u2066\u2028")
    assert "naïve 東京 👩🏽‍🚀" in shown
