"""Fields of foreign schemas become the fields of an event."""

from typing import Any

import pytest

from worker.schema_registry.field_mapping import FieldMapping
from worker.schema_registry.values import without_nulls
from worker.settings.field_paths import parse_field_paths


@pytest.mark.parametrize(
    ("mapping", "document", "mapped"),
    [
        ("", {"question": "q"}, {"question": "q"}),
        (
            "question=query.text, context=body",
            {"query": {"text": "q"}, "body": "c", "id": "1"},
            {"query": {"text": "q"}, "body": "c", "id": "1", "question": "q", "context": "c"},
        ),
        (
            "question=query",
            {"question": "old", "query": "new"},
            {"query": "new", "question": "new"},
        ),
        ("question=query.text", {"question": "old", "query": "x"}, {"query": "x"}),
        (
            "question=context,context=question",
            {"question": 1, "context": 2},
            {"question": 2, "context": 1},
        ),
        (r"question=a\.b.c", {"a.b": {"c": 5}}, {"a.b": {"c": 5}, "question": 5}),
        ("question=a", {"a": None}, {"a": None, "question": None}),
        ("question=a.b", "no object", "no object"),
    ],
)
def test_mapped_fields_are_on_top(mapping: str, document: Any, mapped: Any) -> None:
    assert FieldMapping(parse_field_paths(mapping)).apply(document) == mapped


@pytest.mark.parametrize("text", ["question", "question=", "=a", "question=a..b", "id=a,id=b"])
def test_what_is_not_a_mapping_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not FIELD=PATH|mapped twice"):
        parse_field_paths(text)


@pytest.mark.parametrize("name", ["quesion", "options.top_k", "Question"])
def test_what_is_not_a_field_of_an_event_is_named_with_the_fields(name: str) -> None:
    with pytest.raises(ValueError, match="is not a field of an event") as error:
        parse_field_paths(f"{name}=body")
    assert str(error.value) == (
        f"{name!r} is not a field of an event, which are context, contexts, expires_at, id, "
        f"metadata, options, question, text"
    )


def test_null_is_an_omitted_field_except_in_metadata() -> None:
    metadata = {"a": None, "b": [{"c": None}]}
    event = {"question": "q", "id": None, "options": {"top_k": None}, "metadata": metadata}
    assert without_nulls(event) == {"question": "q", "options": {}, "metadata": metadata}
