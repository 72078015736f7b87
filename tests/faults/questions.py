"""The numbered questions of a run, and what has to become of each. Pure.

A number decides everything: whether the record is good, and its known answer. A share is bad on
purpose, and some carry so much metadata that their answers may be refused by a smaller topic.
"""

import json
import random
from dataclasses import dataclass

from schemas.rejection import Reason

_SHARES = {"bad": 0.06, "large": 0.03}

LARGE_BYTES = 20_000
"""Metadata of a large question, which its answer brings back."""

SMALL_LIMIT = 8_000
"""`max.message.bytes` that takes any answer but the large ones."""

_KEYS = 40
"""Enough that each input partition's answers go to all output partitions."""


@dataclass(frozen=True, slots=True)
class Question:
    """A record for the questions topic, and its possible outcomes."""

    key: bytes
    value: bytes | None
    answer: str | None
    """The known answer; `None` for what must not be answered."""
    reasons: frozenset[str]
    """With which of them it may become a dead letter."""

    @property
    def is_good(self) -> bool:
        return self.answer is not None


def question(number: int) -> Question:
    chance = random.Random(number)  # the same at every call, also in another run
    key = f"key-{chance.randrange(_KEYS)}".encode()
    share = chance.random()
    if share < _SHARES["bad"]:
        value, reason = _bad(number, chance)
        return Question(key, value, None, frozenset({reason}))
    is_large = share < _SHARES["bad"] + _SHARES["large"]
    word = f"Person{number}"
    event = {
        "id": f"q-{number}",
        "question": "Who lives here?",
        "context": f"{word} lives here.",
        "metadata": {"padding": "x" * LARGE_BYTES} if is_large else {},
    }
    reasons = {Reason.ANSWER_TOO_LARGE.value} if is_large else set()
    return Question(key, json.dumps(event).encode(), word, frozenset(reasons))


def _bad(number: int, chance: random.Random) -> tuple[bytes | None, str]:
    return chance.choice(
        [
            (b"{", Reason.NOT_JSON.value),
            (json.dumps({"id": f"q-{number}"}).encode(), Reason.SCHEMA.value),
            (None, Reason.NULL_VALUE.value),
        ]
    )
