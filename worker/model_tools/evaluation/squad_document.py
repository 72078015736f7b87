"""Reads SQuAD files, v1.1 and v2.0. An error names the place in the document.

Format: https://rajpurkar.github.io/SQuAD-explorer/ and the official `evaluate-v2.0.py`. Beyond it,
a paragraph may have `contexts`, the passages of a question event, in the place of `context`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from schemas.question import Passage

T = TypeVar("T", str, list[Any])

_KINDS: dict[type, str] = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


class DataError(Exception):
    """The file is not a SQuAD file; the message is one line with the place and the problem."""


class Entry(NamedTuple):
    """One question of a document, as it stands there."""

    own_id: Any
    """Any JSON: the official script needs ids, other writers leave them out or repeat them."""
    place: str
    """As `data[0].paragraphs[2].qas[1]`."""
    question: str
    context: str
    """Empty if there are passages."""
    gold: tuple[str, ...]
    """Empty if the question is unanswerable."""
    contexts: tuple[Passage, ...] = ()


def read_entries(path: Path) -> list[Entry]:
    """The questions of a file, in its order; at least one. Raises `DataError`, `OSError`."""
    try:
        entries = list(_entries(_parse(path.read_bytes())))
        if not entries:
            raise DataError("it has no questions")
    except DataError as error:
        raise DataError(f"{path}: not a SQuAD file: {error}") from None
    return entries


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        lines = "; JSON Lines are not supported" if error.msg == "Extra data" else ""
        raise DataError(
            f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}{lines}"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"byte {error.start} is not {error.encoding}: {error.reason}") from None
    except RecursionError:
        raise DataError("its JSON is nested too deeply") from None
    except ValueError as error:  # a number with too many digits
        raise DataError(f"not JSON: {error}") from None


def _entries(document: Any) -> Iterator[Entry]:
    for article, article_place in _items(document, "", "data"):
        for paragraph, paragraph_place in _items(article, article_place, "paragraphs"):
            context, contexts = _texts(paragraph, paragraph_place)
            for entry, place in _items(paragraph, paragraph_place, "qas"):
                question = _get(entry, place, "question", str)
                gold = tuple(_gold(entry, place))
                yield Entry(entry.get("id"), place, question, context, gold, contexts)


def _texts(paragraph: Any, place: str) -> tuple[str, tuple[Passage, ...]]:
    """The context and no passages, or an empty context and the passages."""
    if not isinstance(paragraph, dict) or paragraph.get("contexts") is None:
        return _get(paragraph, place, "context", str), ()
    if paragraph.get("context") is not None:
        raise DataError(f"{place} has context and contexts; remove one")
    passages = []
    for passage, passage_place in _items(paragraph, place, "contexts"):
        try:
            passages.append(Passage.model_validate(passage))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join([passage_place, *map(str, first["loc"])])
            problem = first["msg"].removeprefix("Value error, ")
            raise DataError(f"{where}: {problem}") from None
    if not passages:
        raise DataError(f"{place}.contexts is empty")
    return "", tuple(passages)


def _gold(entry: dict[str, Any], place: str) -> Iterator[str]:
    """Texts of the gold answers; none if the question is unanswerable."""
    is_impossible = entry.get("is_impossible", False)
    if not isinstance(is_impossible, bool):
        raise DataError(f"{place}.is_impossible is {_kind(is_impossible)}, not a boolean")
    if is_impossible and entry.get("answers") in (None, []):
        return
    answers = _items(entry, place, "answers")
    if is_impossible:
        raise DataError(f"{place}.answers has answers, but is_impossible is true; remove one")
    for answer, its_place in answers:
        yield _get(answer, its_place, "text", str)


def _items(parent: Any, place: str, name: str) -> list[tuple[Any, str]]:
    """The items of the list `name` of `parent`, each with its place."""
    items = _get(parent, place, name, list)
    prefix = f"{place}.{name}" if place else name
    return [(item, f"{prefix}[{index}]") for index, item in enumerate(items)]


def _get(parent: Any, place: str, name: str, kind: type[T]) -> T:
    if not isinstance(parent, dict):
        raise DataError(f"{place or 'the document'} is {_kind(parent)}, not an object")
    where = f"{place}.{name}" if place else name
    if name not in parent:
        raise DataError(f"{where} is missing")
    value = parent[name]
    if not isinstance(value, kind):
        raise DataError(f"{where} is {_kind(value)}, not {_KINDS[kind]}")
    return value


def _kind(value: Any) -> str:
    return _KINDS[type(value)]
