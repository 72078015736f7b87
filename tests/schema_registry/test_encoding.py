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


# Once, not in each example.
AVRO = {type(outcome): json.dumps(avro_schema(type(outcome))) for outcome in OUTCOMES}
AVRO_ENCODERS = {of: avro_encoder(text) for of, text in AVRO.items()}
AVRO_DECODERS = {of: avro_decoder(RegisteredSchema("AVRO", text)) for of, text in AVRO.items()}
PROTO = proto_file()
INDEXES = {of: list(NUMBERS).index(of) for of in AVRO}
PROTOBUF_ENCODERS = {of: protobuf_encoder(PROTO, index) for of, index in INDEXES.items()}
DECODE_PROTOBUF = protobuf_decoder(RegisteredSchema("PROTOBUF", PROTO))


@pytest.mark.parametrize("outcome", OUTCOMES)
@given(metadata=st.dictionaries(TEXT, JSON, max_size=3))
def test_avro_has_the_outcome_and_metadata_as_texts(
    outcome: Answer | Embedding, metadata: dict[str, Any]
) -> None:
    event = outcome.model_copy(update={"metadata": metadata})
    back = AVRO_DECODERS[type(outcome)](AVRO_ENCODERS[type(outcome)](event))
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
    event = outcome.model_copy(update={"metadata": metadata})
    data = PROTOBUF_ENCODERS[type(outcome)](event)
    back = DECODE_PROTOBUF((INDEXES[type(outcome)],), data)
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
    data = io.BytesIO(AVRO_ENCODERS[Embedding](samples.EMBEDDING))
    schema = fastavro.parse_schema(json.loads(AVRO[Embedding]))
    document: Any = fastavro.schemaless_reader(data, schema, None)
    assert document["embedding"] == samples.EMBEDDING.embedding
