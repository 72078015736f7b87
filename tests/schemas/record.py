"""Records what a version of the contracts publishes, decodes and encodes, for later versions.

`python -m tests.schemas.record` keeps the current version, once: what is on record stays.
"""

import base64
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from schemas import VERSION, Answer, Embedding, ErrorReply, Question, Text
from schemas.envelope import decode_event
from schemas.generate import samples
from schemas.generate.files import PUBLISHED
from schemas.generate.json_schemas import dead_letter_example
from schemas.rejection import Reason

VERSIONS = Path(__file__).with_name("versions")

EVENTS: dict[str, type[Question | Text]] = {"question": Question, "text": Text}
OUTCOMES: dict[str, type[BaseModel]] = {
    "answer": Answer,
    "embedding": Embedding,
    "error-reply": ErrorReply,
}

REGISTRY_FILES = (".avsc", ".proto", ".registry.json")
"""Ends of the names of the files that schema registries get."""

Document = dict[str, Any]

_STRUCTURED = {"content-type": "application/cloudevents+json"}
_BINARY = {
    "ce_specversion": "1.0",
    "ce_id": "e-1",
    "ce_source": "/wiki",
    "ce_type": "anything",
    "content-type": "application/json",
}


def read(kind: type[Question | Text], event: Document) -> Document:
    """The event as the current code decodes it. Raises `Rejected`."""
    headers = [(name, text.encode()) for name, text in event["headers"].items()]
    value = json.dumps(event["value"]).encode()
    envelope = decode_event(kind, value, headers, default_id="topic-0-7", max_bytes=len(value))
    return {"mode": envelope.mode.value, **envelope.event.model_dump(mode="json")}


def _shapes(least: Document, full: Document) -> Iterator[tuple[str, dict[str, str], Document]]:
    attributes = {"specversion": "1.0", "id": "e-1", "source": "/wiki", "type": "anything"}
    in_base64 = base64.b64encode(json.dumps(least).encode()).decode()
    yield "the least", {}, least
    yield "every field", {"content-type": "application/json"}, full
    yield "no id", {}, {**full, "id": None}
    yield "fields of the producer's own", {}, {**full, "tenant": 7}
    yield "a field called specversion", {}, {**full, "specversion": "7"}
    yield "as Azure ML takes it", {}, {"input_data": least}
    yield "structured", _STRUCTURED, {**attributes, "data": full}
    yield "structured, no content type", {}, {**attributes, "data": least}
    yield "structured, base64", _STRUCTURED, {**attributes, "data_base64": in_base64}
    yield "binary", _BINARY, full
    yield (
        "expiring: field and header",
        {"qa.expires-at": "2026-11-26T13:00:00+01:00"},
        {**least, "expires_at": "2026-11-26t11:59:59.5z"},
    )
    yield (
        "expiring: CloudEvents attribute",
        _STRUCTURED,
        {**attributes, "expirytime": "2026-11-26T12:00:00Z", "data": least},
    )
    yield "binary, named by its attribute", _BINARY, least


def _events() -> Iterator[Document]:
    question = {
        **samples.QUESTIONS[1],
        "options": {
            "top_k": 3,
            "max_answer_tokens": 20,
            "doc_stride": 0,
            "no_answer": True,
            "no_answer_threshold": -1.5,
            "align_to_words": False,
        },
    }
    for kind, (least, full) in {
        "question": (samples.QUESTIONS[0], question),
        "text": (samples.TEXTS[0], samples.TEXTS[1]),
    }.items():
        for name, headers, value in _shapes(least, full):
            event = {"name": f"{kind}, {name}", "kind": kind, "headers": headers, "value": value}
            yield {**event, "read": read(EVENTS[kind], event)}
    passages: Document = {
        "name": "question, passages",
        "kind": "question",
        "headers": {},
        "value": samples.QUESTIONS[2],
    }
    yield {**passages, "read": read(Question, passages)}


def record(directory: Path) -> None:
    """Write the current version to `directory`."""
    directory.mkdir(parents=True)
    no_answer = samples.ANSWER.model_copy(
        update={
            "answer": "",
            "start": 0,
            "end": 0,
            "context_index": None,
            "answered": False,
            "answers": [],
            "source": None,
        }
    )
    kept: dict[str, Any] = {
        "events": list(_events()),
        "answer": [each.model_dump(mode="json") for each in (samples.ANSWER, no_answer)],
        "embedding": [samples.EMBEDDING.model_dump(mode="json")],
        "error-reply": [samples.ERROR_REPLY.model_dump(mode="json")],
        "dead-letter-headers": {
            "headers": list(dead_letter_example()),
            "reasons": [str(reason) for reason in Reason],
        },
    }
    for name, documents in kept.items():
        text = json.dumps(documents, indent=2, ensure_ascii=False) + "\n"
        (directory / f"{name}.json").write_text(text)
    for name in (*EVENTS, *OUTCOMES):
        for end in (".schema.json", *REGISTRY_FILES):
            if (PUBLISHED / f"{name}{end}").exists():
                shutil.copy(PUBLISHED / f"{name}{end}", directory)


if __name__ == "__main__":
    if (VERSIONS / VERSION).exists():
        sys.exit(f"{VERSION} is on record: raise schemas.VERSION, then publish, then record")
    record(VERSIONS / VERSION)
