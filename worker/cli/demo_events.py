"""The demo's events: questions on short and long texts in several scripts, and two bad records.

The texts are written for this project. `qa-worker demo` sends the events, and `qa-worker model
verify` runs a model on the questions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.question import Question, ReadingOptions

_BRIDGE = (
    "The footbridge over the Aller was closed in March after divers found cracks in two of its "
    "five piers. Engineer Anna Lindqvist, who led the inspection, recommended steel collars "
    "instead of new piers. The town council agreed to spend 1.4 million euros, and the bridge "
    "reopened on 9 October, three weeks before the first frost."
)
_ORCHARD = (
    "Marguerite Okafor planted the first forty trees of the orchard in 1987. She chose an old "
    "apple called Winter Banana because it keeps until April. Today the orchard has nine hundred "
    "trees, and half of the harvest goes to a cider press in Thornbury."
)
_TICKET = (
    "Ticket 4471: after the update to version 3.2 the scanner at gate B stopped reading QR codes. "
    "Restarting it did not help. The cause was a lens that had been cleaned with the wrong "
    "solvent; Priya replaced it on Tuesday and the gate has worked since."
)
_CAFE = (
    "The café « Chez Zoë » in Besançon serves a crème brûlée with lavender. Zoë Lefèvre opened it "
    "in 2011 with her brother Loïc. (Cafe\N{COMBINING ACUTE ACCENT} is spelled here with an accent "
    "of its own.)"
)
_EMOJI = (
    "Release notes 🚀: the rocket emoji marks features, the bug 🐛 marks fixes, and the family "
    "👨‍👩‍👧‍👦 marks changes by the community. "
    "Version 7 was built by Mireille 👩🏽‍🚀 in Toulouse 🇫🇷."
)
_CJK = (
    "東京タワー is 333 metres tall and was finished in 1958. "
    "北京 hosted the Olympic Games in 2008. "
    "The Seoul office (서울) opened in 2016 and is led by 김민준."
)
_SHIP = (
    "The Halcyon left Bergen with a cargo of dried cod and a crew of eleven. Off the Shetlands a "
    "storm took her foremast, and Captain Ingrid Solheim steered her into Lerwick under a sail "
    "made of blankets. The whole crew was safe."
)


@dataclass(frozen=True, slots=True)
class DemoEvent:
    """One record that the demo sends to the questions topic."""

    label: str
    """How the demo's tables name it."""
    value: bytes
    """The record's value."""
    question: Question | None = None
    """The event in `value`; `None` if the worker rejects the value."""


def demo_events() -> Iterator[DemoEvent]:
    """19 questions and 2 records that a worker rejects."""
    for question in demo_questions():
        value = question.model_dump_json(exclude_defaults=True).encode()
        yield DemoEvent(question.question, value, question)
    yield DemoEvent("(not JSON)", b'{"question": "Who wrote this?", "context": "It was')
    yield DemoEvent("(no context)", b'{"question": "Who wrote this?"}')


def demo_questions() -> Sequence[Question]:
    """Valid questions; the last one has no answer in its context."""
    return (
        _ask("Who led the inspection of the bridge?", _BRIDGE),
        _ask("How much did the council spend?", _BRIDGE),
        _ask("When did the bridge reopen?", _BRIDGE),
        _ask("What was wrong with the piers?", _BRIDGE),
        _ask("Who planted the orchard?", _ORCHARD),
        _ask("Why did she choose Winter Banana?", _ORCHARD),
        _ask("How many trees does the orchard have today?", _ORCHARD),
        _ask("What caused the scanner to stop reading codes?", _TICKET),
        _ask("Who replaced the lens?", _TICKET),
        _ask("Who opened the café in Besançon?", _CAFE),
        _ask("What is spelled with an accent of its own?", _CAFE),
        _ask("Where was version 7 built?", _EMOJI),
        _ask("What does the bug 🐛 mark?", _EMOJI),
        _ask("How tall is 東京タワー?", _CJK),
        _ask("Who leads the Seoul office?", _CJK),
        _ask("Which captain steered the Halcyon into Lerwick?", _SHIP),
        _ask("What was the sail made of?", _SHIP, ReadingOptions(top_k=2)),
        _ask("What did the keeper find in the lamp room?", logbook()),
        _ask("What is the capital of Mongolia?", _SHIP),
    )


def _ask(question: str, context: str, options: ReadingOptions | None = None) -> Question:
    return Question(question=question, context=context, options=options or ReadingOptions())


_WEATHER = ("fog from the north", "a light swell", "rain until noon", "clear skies", "hard frost")
_WORK = (
    "trimmed the wick and filled the reservoir",
    "painted the railing of the gallery",
    "wound the clockwork of the lens twice",
    "counted the stores and wrote to the mainland",
    "mended the rope of the landing stage",
    "cleared seaweed from the slipway",
)
_SEEN = (
    "two herring boats",
    "the mail steamer",
    "no ship at all",
    "a bark under Danish colours",
    "seals on the southern rocks",
    "a flock of fieldfares",
    "the pilot cutter",
)


def logbook(days: int = 150) -> str:
    """A lighthouse keeper's log: about 30 words a day, and one entry about an owl at two thirds."""
    entries = []
    for day in range(1, days + 1):
        weather, work, seen = _WEATHER[day % 5], _WORK[day % 6], _SEEN[day % 7]
        entries.append(
            f"Day {day}. The morning brought {weather}. The assistant {work}, and in the afternoon "
            f"{seen} passed within {day % 9 + 2} miles of the rock."
        )
        if day == days * 2 // 3:
            entries.append(
                "That evening the keeper found a wounded owl in the lamp room and fed it with "
                "strips of salted mackerel."
            )
    return " ".join(entries)
