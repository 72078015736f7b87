"""SQuAD files of a few questions."""

import json
from collections.abc import Sequence
from pathlib import Path

from schemas.question import Question
from tests.model_tools.random_weights import Config
from tests.model_tools.word_models import random_words


def squad(directory: Path, *entries: tuple[Question, Sequence[str]]) -> Path:
    """A file of questions and their gold answers."""
    paragraphs = [
        {
            "context": asked.context,
            "qas": [
                {
                    "id": str(number),
                    "question": asked.question,
                    "answers": [{"text": text, "answer_start": 0} for text in gold],
                }
            ],
        }
        for number, (asked, gold) in enumerate(entries)
    ]
    file = directory / "squad.json"
    file.write_text(json.dumps({"data": [{"title": "ours", "paragraphs": paragraphs}]}))
    return file


def three_questions(directory: Path) -> Path:
    """The tiny model gets the first right, half of the second, and nothing of the third."""
    return squad(
        directory,
        (Question(question="a", context="b answer c"), ["The Answer."]),
        (Question(question="a", context="c answer " + "b " * 40), ["answer b b"]),
        (Question(question="a", context="b second c"), ["other"]),
    )


def random_questions(directory: Path, config: Config) -> Path:
    """Random words, some of them in several windows; without gold answers."""
    asked = [random_words(config, 10 + 5 * seed, seed).event for seed in range(12)]
    return squad(directory, *((event, ["?"]) for event in asked))
