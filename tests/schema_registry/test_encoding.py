"""Outcomes in Avro and Protobuf: readers of the published schemas get the same outcome."""

import io
import json
from functools import cache
from typing import Any

import fastavro
import pytest
from google.protobuf import json_format
from hypothesis import given

from schemas import Answer, Embedding, Outcome, Question, Reason, Rejected
from schemas.generate import samples
from schemas.generate.files import PUBLISHED
from schemas.question import Passage
from tests.examples import examples
from tests.schema_registry.outcomes import OUTCOMES
from worker.schema_registry.encoding import (
    MAX_STRUCT_DEPTH,
    Encode,
    avro_encoder,
    protobuf_encoder,
)
from worker.schema_registry.protobuf import message_classes


def text(outcome_type: type[Outcome], end: str) -> str:
    return (PUBLISHED / f"{outcome_type.__name__.lower()}{end}").read_text()


@cache
def avro(outcome_type: type[Outcome]) -> tuple[Encode, Any]:
    schema_text = text(outcome_type, ".avsc")
    return avro_encoder(schema_text), fastavro.parse_schema(json.loads(schema_text))


@cache
def protobuf(outcome_type: type[Outcome]) -> tuple[Encode, Any]:
    schema_text = text(outcome_type, ".proto")
    return protobuf_encoder(schema_text), message_classes(schema_text)[0]


@given(OUTCOMES)
@examples(200)
def test_avro_has_the_outcome_and_metadata_as_texts(outcome: Outcome) -> None:
    encode, schema = avro(type(outcome))
    back: Any = fastavro.schemaless_reader(io.BytesIO(encode(outcome)), schema, None)
    texts = back["metadata"]
    assert all(isinstance(each, str) for each in texts.values())
    back["metadata"] = {
        name: texts[name] if isinstance(value, str) else json.loads(texts[name])
        for name, value in outcome.metadata.items()
    }
    assert texts.keys() == outcome.metadata.keys()
    assert type(outcome).model_validate(back, strict=True) == outcome


def test_passages_of_a_question_have_metadata_of_any_kind() -> None:
    passage = Passage(text="Ada.", metadata={"page": 3, "shelf": "A"})
    asked = Question(question="Who?", contexts=[passage])
    schema = json.loads((PUBLISHED / "question.avsc").read_text())
    value = avro_encoder(json.dumps(schema))(asked)
    back: Any = fastavro.schemaless_reader(io.BytesIO(value), schema, None)
    assert back["contexts"][0]["metadata"] == {"page": "3", "shelf": "A"}
    message_class = message_classes((PUBLISHED / "question.proto").read_text())[0]
    message = message_class.FromString(
        protobuf_encoder((PUBLISHED / "question.proto").read_text())(asked)
    )
    assert json_format.MessageToDict(message)["contexts"][0]["metadata"] == passage.metadata


@given(OUTCOMES)
@examples(200)
def test_protobuf_has_the_outcome(outcome: Outcome) -> None:
    encode, message_class = protobuf(type(outcome))
    message = message_class.FromString(encode(outcome))
    back = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    if isinstance(outcome, Embedding):
        back["embedding"] = list(message.embedding)  # MessageToDict rounds to 8 digits
    assert type(outcome).model_validate(back) == outcome


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"inner": value}
    return value


def test_protobuf_metadata_has_the_depth_that_its_parsers_take() -> None:
    encode, message_class = protobuf(Answer)
    deepest = samples.ANSWER.model_copy(update={"metadata": nested(MAX_STRUCT_DEPTH)})
    assert message_class.FromString(encode(deepest)).metadata.fields["inner"]
    deeper = samples.ANSWER.model_copy(update={"metadata": {"a": [nested(MAX_STRUCT_DEPTH - 1)]}})
    with pytest.raises(Rejected, match="metadata: nested more than 30 deep") as error:
        encode(deeper)
    assert error.value.reason is Reason.ANSWER_NOT_ENCODABLE


def test_integers_out_of_the_range_of_doubles_are_not_encodable_in_protobuf() -> None:
    large = samples.ANSWER.model_copy(update={"metadata": {"a": 10**400}})
    with pytest.raises(Rejected, match="an integer out of the range"):
        protobuf(Answer)[0](large)
    encode, schema = avro(Answer)
    back: Any = fastavro.schemaless_reader(io.BytesIO(encode(large)), schema, None)
    assert back["metadata"] == {"a": str(10**400)}
