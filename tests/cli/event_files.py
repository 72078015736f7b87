"""Event files that `qa-worker read` takes, and the outcomes that it writes."""

import json
from pathlib import Path
from typing import Any


def line(**fields: Any) -> str:
    """A question that the tiny model answers, as a line of JSON; `fields` replace its own."""
    return json.dumps({"question": "a", "context": "b answer c", **fields})


def outcomes(target: Path) -> list[dict[str, Any]]:
    """The outcomes in a file, in order."""
    return [json.loads(line) for line in target.read_bytes().splitlines()]
