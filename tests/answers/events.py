"""Answers for comparisons, as workers and `qa-worker read` write them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worker.answers.answer import ComparedAnswer, parse_answer

INT8 = {"name": "default", "sha256": "a" * 64, "precision": "int8"}
FLOAT = {"name": "candidate", "sha256": "b" * 64, "precision": "float32"}


def answer_event(number: int, text: str = "Ada", **more: Any) -> dict[str, Any]:
    """The answer to the question `q-number` at offset `number`; an empty text means no answer."""
    span = {"answer": text, "score": 0.5, "start": 0, "end": len(text)}
    span["context_index"] = 0 if text else None
    return {
        "id": f"q-{number}",
        **span,
        "answered": bool(text),
        "answers": [span],
        "model": INT8,
        "windows": 1,
        "source": {"topic": "qa.questions", "partition": 0, "offset": number},
        **more,
    }


def compared(
    number: int = 1, text: str = "Ada", *, timestamp_ms: int | None = None, **more: Any
) -> ComparedAnswer:
    value = json.dumps(answer_event(number, text, **more)).encode()
    return parse_answer(value, timestamp_ms)[0]


def write_lines(file: Path, events: Sequence[dict[str, Any]]) -> Path:
    file.write_text("".join(f"{json.dumps(each)}\n" for each in events))
    return file
