"""Rows of training data for tests, as objects and as files."""

import gzip
import json
from pathlib import Path
from typing import Any

from worker.model_tools.training.rows import Row

CONTEXT = "The Halcyon left Bergen with dried cod."


def row(answer: str | None = "Bergen", **fields: Any) -> Row:
    """A row whose answer is the first place of `answer` in its context; None: unanswerable."""
    context = fields.get("context", CONTEXT)
    start = None if answer is None else context.index(answer)
    values: dict[str, Any] = {
        "id": "1",
        "source": "squad_small",
        "kind": "" if answer else "genuine",
        "title": "Halcyon",
        "question": "Where did the Halcyon leave?",
        "context": context,
        "start": start,
        "end": None if start is None or answer is None else start + len(answer),
    }
    return Row(**{**values, **fields})


def line(**fields: Any) -> dict[str, Any]:
    """A line of a file, as an object."""
    return {
        "id": "1",
        "src": "squad_small",
        "title": "Halcyon",
        "question": "Where did the Halcyon leave?",
        "context": CONTEXT,
        "answers": [{"text": "Bergen", "start": 17}],
        **fields,
    }


def write(path: Path, *lines: Any) -> Path:
    """A file of training data."""
    content = "".join(json.dumps(each) + "\n" for each in lines)
    path.write_bytes(gzip.compress(content.encode()))
    return path
