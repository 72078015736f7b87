"""Texts for the recordings: short, written for this purpose, with inputs that are hard to handle.

They are grouped by the pipeline's (max_seq_len, doc_stride).
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """A question and its context. `name` identifies the recorded case."""

    name: str
    question: str
    context: str


LIGHTHOUSE = (
    "The lighthouse on Gull Rock was finished in 1871 after nine years of work. Its first keeper, "
    "Ida Marsh, lit the lamp every evening for thirty-one years. She rowed to the mainland once a "
    "week for bread, oil and letters. In 1902 her nephew Tom took over. Tom Marsh kept bees beside "
    "the tower, and sailors said that the honey tasted of salt. The lamp was switched to "
    "electricity in 1938, and the last keeper left Gull Rock in 1967."
)
FERRIES = (
    "The red ferry leaves at seven. The blue ferry leaves at nine. The green ferry leaves at noon. "
    "The white ferry leaves at three. Only the Green Ferry carries cars, and only the green ferry "
    "runs on Sundays. When the wind is strong, THE GREEN FERRY stays in the harbour with the blue "
    "ferry."
)
LONG_WORDS = (
    "In Vienna the Donaudampfschifffahrtsgesellschaftskapitän greeted a crew of seven. They had "
    "studied pneumonoultramicroscopicsilicovolcanoconiosis, floccinaucinihilipilification and "
    "antidisestablishmentarianism, and nobody had asked them to."
)
MARKS = (
    "Le cafe\u0301 de Rene\u0301 a brule\u0301 en e\u0301te\u0301. Le café de Zoé est resté. "
    "Rene\u0301e a ouvert un the\u0301a\u0302tre a\u0300 Orle\u0301ans, pre\u0300s du marche\u0301."
)

_CAPACITY_QUESTION = "Which animal is last?"
"""Five tokens, so a window of 48 tokens has room for 40 tokens of context."""


def _animals(count: int) -> str:
    """Returns a context of `count` words of one token each."""
    names = ["dog", "cat", "horse", "cow", "goat", "duck", "bear", "wolf", "fox", "bird"]
    return " ".join(names[index % len(names)] for index in range(count))


def _words(count: int) -> str:
    """Returns a question of `count` words of one token each."""
    return " ".join(["who", "kept", "the", "lamp", "on", "a", "rock"][i % 7] for i in range(count))


_PLAIN = (
    Text("lighthouse, first", "Who was the first keeper?", LIGHTHOUSE),
    Text("lighthouse, year", "When was the lighthouse finished?", LIGHTHOUSE),
    Text("lighthouse, honey", "What did the honey taste of?", LIGHTHOUSE),
    Text("ferries, answer text three times", "Which ferry carries cars?", FERRIES),
    Text("ferries, answer text twice", "Which ferry leaves at nine?", FERRIES),
    Text("long words", "Who greeted the crew?", LONG_WORDS),
)

_ODD = (
    Text("leading line breaks", "Who sang?", "\n\n\r\n  \tMira sang and Paul played the drum.\n\n"),
    Text("one word", "Who?", "Mira"),
    Text("one letter", "Who?", "M"),
    Text("one long word", "What is it?", "Donaudampfschifffahrtsgesellschaftskapitän"),
    Text("two words", "Who sang?", "Mira sang"),
    Text("blank", "Who sang?", " "),
    Text("blank, longer question", "Who sang in the red hall by the sea last night?", " "),
    Text("line break alone", "Who sang?", "\n"),
    Text("zero-width space alone", "Who sang?", "\u200b"),
    Text("control character alone", "Who sang?", "\x00"),
    Text("combining mark alone", "Who sang?", "\u0301"),
    Text("punctuation alone", "Who sang?", "?!… — ..."),
    Text("Chinese", "首都是哪里?", "法国的首都是巴黎,德国的首都是柏林。"),
    Text("Japanese", "何を食べましたか?", "昨日、東京でラーメンを食べました。ガギグゲゴ。"),
    Text("Korean", "수도는 어디입니까?", "프랑스의 수도는 파리이고 독일의 수도는 베를린이다."),
    Text("Korean, decomposed", "어디?", "\u1112\u1161\u11ab\u1100\u1173\u11af Paris"),
    Text("Thai", "ใครร้องเพลง", "น้ำผึ้งร้องเพลงที่กรุงเทพฯ"),
    Text("Hindi", "राजधानी क्या है?", "भारत की राजधानी नई दिल्ली है।"),
    Text(
        "Hindi, dropped mark before a vowel",
        "क्या?",
        "क\u093c\u093e ख\u093c\u093e ग\u093c\u093e",
    ),
    Text("Arabic with vowels", "ما هي العاصمة؟", "العَاصِمَةُ هِيَ القَاهِرَةُ."),
    Text("Hebrew with points", "מי שר?", "שָׁלוֹם שָׁר בִּירוּשָׁלַיִם"),
    Text("accents, composed", "Who owns the café?", "The café in Orléans is owned by Zoé Prévôt."),
    Text(
        "accents, decomposed",
        "Who owns the cafe\u0301?",
        "The cafe\u0301 in Orle\u0301ans is owned by Zoe\u0301 Pre\u0301vo\u0302t and Rene\u0301",
    ),
    Text("capital I with dot", "Where is it?", "İstanbul and İZMİR are in TÜRKİYE, not in GROẞ."),
    Text("emoji", "What did she send?", "She sent 🎉🎉 and a 🍰 to Paul, then 👍🏽."),
    Text("joined emoji", "Who came?", "The family 👩‍👩‍👧‍👦 came from 🇫🇷🇩🇪 with 🏳️‍🌈 flags."),
    Text("astral letters", "What is it?", "It is 𝒜𝓁𝓅𝒽𝒶 and 𝟙𝟚𝟛 and 𐍈𐌰𐍂."),
    Text("numbers", "How much is it?", "It costs 1,234.56 € (or 3.14 % more), i.e. $1_000/kg."),
    Text("apostrophes", "Whose is it?", "It's Paul's, isn't it? O'Neill's and rock 'n' roll's."),
    Text("address", "Where is it?", "See https://example.org/a/b?c=d#e or mail me@example.org."),
    Text(
        "hidden characters",
        "Who sang?",
        "Mi\u200bra\u00ad sa\u200dng\ufeff and\u00a0Paul\u2028too.",
    ),
    Text("replacement characters", "Who sang?", "\ufffd Mira\x00 \ufffd sang \x7f loud\ud7ff."),
    Text("no such word", "Who sang?", "ꙮꙮꙮ Mira ꙮ sang 𓀀𓀁."),
    Text("upper and lower case", "Who sang?", "MIRA sang. Mira sang. mira sang. Paul did not."),
    Text("typed [CLS] in the context", "Who sang?", "[CLS] Mira sang [SEP] and [MASK] played."),
    Text("typed [CLS] in the question", "[CLS] Who [SEP] sang?", "Mira sang and Paul played."),
    Text("typed [UNK] and [PAD]", "Who [UNK]?", "Mira [PAD] sang [UNK] and ##ed Paul."),
    Text("blank question", " ", "Mira sang and Paul played."),
    Text("unreadable question", "\u200b", "Mira sang and Paul played."),
    Text("question mark", "?", "Mira sang and Paul played."),
)

_LIMITS = (
    *(
        Text(f"context of {count} tokens", _CAPACITY_QUESTION, _animals(count))
        for count in (39, 40, 41, 64, 65)
    ),
    *(
        Text(f"question of {count} tokens", _words(count), _animals(length))
        for count, length in ((13, 60), (14, 60), (24, 40), (25, 40), (28, 24), (29, 24))
    ),
    Text("question of 44 tokens", _words(44), "Mira"),
    Text("question of 45 tokens", _words(45), "Mira"),
    Text("question of 46 tokens", _words(46), "Mira"),
    Text("question without any room", _words(60), "Mira sang"),
)

_SEVERAL = (
    Text("several windows, first", "Who was the first keeper?", LIGHTHOUSE),
    Text("several windows, year", "When was the lighthouse finished?", LIGHTHOUSE),
    Text("several windows, bees", "Who kept bees?", LIGHTHOUSE),
    Text("several windows, answer text three times", "Which ferry runs on Sundays?", FERRIES),
    Text("several windows, long words", "Who greeted the crew?", LONG_WORDS),
    Text("several windows, longest word", "What had they studied?", LONG_WORDS),
    Text("several windows, marks", "Qui a ouvert le the\u0301a\u0302tre ?", MARKS),
    Text("several windows, one word", "What is it?", "ab" * 45),
    Text("several windows, Chinese", "首都?", "法国的首都是巴黎,德国的首都是柏林。" * 4),
    Text("several windows, typed [CLS]", "Who [CLS] runs?", FERRIES.replace("ferry", "[CLS]")),
)

TEXTS: Mapping[tuple[int, int], tuple[Text, ...]] = {
    (384, 128): (*_PLAIN, *_ODD),
    (48, 16): (*_SEVERAL, *_LIMITS),
    (32, 8): (*_PLAIN, *_SEVERAL[5:8]),
}
