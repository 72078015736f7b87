"""Outcomes in Avro and Protobuf: readers of the published schemas get the same outcome."""

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import Answer, Embedding
from schemas.generate import samples
from schemas.generate.avro_schemas import avro_schema
from schemas.generate.proto_file import NUMBERS, proto_file
from worker.schema_registry.avro import avro_decoder
from worker.schema_registry.decoding import RegisteredSchema
from worker.schema_registry.encoding import avro_encoder, protobuf_encoder
from worker.schema_registry.protobuf import protobuf_decoder

OUTCOMES = [samples.ANSWER, samples.EMBEDDING]
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


def avro_text(outcome: Answer | Embedding) -> str:
    return json.dumps(avro_schema(type(outcome)))


@pytest.mark.parametrize("outcome", OUTCOMES)
@given(metadata=st.dictionaries(TEXT, JSON, max_size=3))
def test_avro_has_the_outcome_and_metadata_as_texts(
    outcome: Answer | Embedding, metadata: dict[str, Any]
) -> None:
    text = avro_text(outcome)
    event = outcome.model_copy(update={"metadata": metadata})
    back = avro_decoder(RegisteredSchema("AVRO", text))(avro_encoder(text)(event))
    texts = back.pop("metadata")
    expected = event.model_dump(mode="json")
    assert {
        name: texts[name] if isinstance(value, str) else json.loads(texts[name])
        for name, value in expected.pop("metadata").items()
    } == metadata
    assert type(outcome).model_validate(back) == type(outcome).model_validate(expected)


@pytest.mark.parametrize("outcome", OUTCOMES)
@given(metadata=st.dictionaries(TEXT, JSON, max_size=3))
def test_protobuf_has_the_outcome(outcome: Answer | Embedding, metadata: dict[str, Any]) -> None:
    index = list(NUMBERS).index(type(outcome))
    event = outcome.model_copy(update={"metadata": metadata})
    data = protobuf_encoder(proto_file(), index)(event)
    back = protobuf_decoder(RegisteredSchema("PROTOBUF", proto_file()))((index,), data)
    # What has its default is not on the wire.
    zero = {"start": 0, "end": 0, "answer": "", "answered": False, "score": 0.0, "windows": 0}
    assert type(outcome).model_validate({**zero, **_filled(back, zero)}) == event


def _filled(back: dict[str, Any], zero: dict[str, Any]) -> dict[str, Any]:
    if "answers" in back:
        back["answers"] = [{**zero, **each} for each in back["answers"]]
    if "source" in back:
        back["source"] = {"partition": 0, "offset": 0, **back["source"]}
    return back


def test_embeddings_are_float32_in_avro() -> None:
    text = avro_text(samples.EMBEDDING)
    data = io.BytesIO(avro_encoder(text)(samples.EMBEDDING))
    schema = fastavro.parse_schema(json.loads(text))
    document: Any = fastavro.schemaless_reader(data, schema, None)
    assert document["embedding"] == samples.EMBEDDING.embedding
