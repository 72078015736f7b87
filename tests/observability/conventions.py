"""OpenTelemetry's semantic conventions for messaging and Kafka, version 1.44, as tables.

Copied from model/messaging/{spans,kafka,metrics,common}.yaml of
https://github.com/open-telemetry/semantic-conventions at v1.44.0: every attribute that the model
lists for a Kafka span or a metric, with its requirement level and type. Another attribute of these
namespaces is a mistake, and so is a missing required one.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.observability.collector import attributes

Value = str | int | bool | float


class Level(StrEnum):
    """Requirement levels; an opt-in attribute is off by default."""

    REQUIRED = "required"
    CONDITIONAL = "conditionally required"
    RECOMMENDED = "recommended"
    OPT_IN = "opt-in"


class Rule(NamedTuple):
    """Of one attribute."""

    level: Level
    kind: type
    when: str = ""


REQUIRED, CONDITIONAL, RECOMMENDED, OPT_IN = Level
_SINGLE = "the span describes a single message"
_BATCH = "the span describes a batch of messages"

_COMMON: dict[str, Rule] = {
    "messaging.system": Rule(REQUIRED, str),
    "messaging.operation.name": Rule(REQUIRED, str),
    "messaging.operation.type": Rule(CONDITIONAL, str, "applicable"),
    "messaging.destination.name": Rule(CONDITIONAL, str, "the same for all messages"),
    "messaging.destination.template": Rule(CONDITIONAL, str, "available"),
    "error.type": Rule(CONDITIONAL, str, "the operation has failed"),
    "messaging.destination.partition.id": Rule(RECOMMENDED, str),
    "messaging.message.id": Rule(RECOMMENDED, str, _SINGLE),
    "messaging.message.conversation_id": Rule(RECOMMENDED, str),
    "messaging.client.id": Rule(RECOMMENDED, str),
    "messaging.kafka.cluster.id": Rule(RECOMMENDED, str),
    "messaging.kafka.offset": Rule(RECOMMENDED, int, _SINGLE),
    "server.address": Rule(RECOMMENDED, str),
    "server.port": Rule(RECOMMENDED, int),
}
_BATCHES = {"messaging.batch.message_count": Rule(CONDITIONAL, int, _BATCH)}
_NETWORK = {
    "network.peer.address": Rule(RECOMMENDED, str, "applicable to the messaging system"),
    "network.peer.port": Rule(RECOMMENDED, int, "network.peer.address is set"),
}
_CONSUMER = {"messaging.consumer.group.name": Rule(CONDITIONAL, str, "applicable")}
_MESSAGE = {
    "messaging.kafka.message.key": Rule(RECOMMENDED, str, _SINGLE),
    "messaging.kafka.message.tombstone": Rule(CONDITIONAL, bool, "it is true"),
    "messaging.message.body.size": Rule(OPT_IN, int),
    "messaging.message.envelope.size": Rule(OPT_IN, int),
}

SPANS: dict[str, dict[str, Rule]] = {
    "send": _COMMON | _BATCHES | _NETWORK | _MESSAGE,
    "receive": _COMMON | _BATCHES | _NETWORK | _CONSUMER | _MESSAGE,
    "process": _COMMON | _BATCHES | _CONSUMER | _MESSAGE,
    "settle": _COMMON | _BATCHES | _NETWORK | _CONSUMER,
}
"""`messaging.operation.type` to its attributes. `create` is not listed: no span of it is sent."""

KINDS = {
    "send": (Span.SPAN_KIND_PRODUCER, Span.SPAN_KIND_CLIENT),
    "receive": (Span.SPAN_KIND_CLIENT,),
    "process": (Span.SPAN_KIND_CONSUMER,),
    "settle": (Span.SPAN_KIND_CLIENT,),
}

_METRIC: dict[str, Rule] = {
    "messaging.system": Rule(REQUIRED, str),
    "messaging.operation.name": Rule(REQUIRED, str),
    "error.type": Rule(CONDITIONAL, str, "the operation has failed"),
    "messaging.destination.name": Rule(CONDITIONAL, str, "it has a low cardinality"),
    "messaging.destination.template": Rule(CONDITIONAL, str, "available"),
    "server.address": Rule(CONDITIONAL, str, "available"),
    "messaging.destination.partition.id": Rule(RECOMMENDED, str),
    "server.port": Rule(RECOMMENDED, int),
}
_METRIC_CONSUMER = {
    **_CONSUMER,
    "messaging.destination.subscription.name": Rule(CONDITIONAL, str, "applicable"),
}


class Metric(NamedTuple):
    """An instrument, and the attributes of its measurements."""

    instrument: str
    unit: str
    attributes: Mapping[str, Rule]


METRICS = {
    "messaging.client.operation.duration": Metric(
        "histogram",
        "s",
        {
            **_METRIC,
            **_METRIC_CONSUMER,
            "messaging.operation.type": Rule(CONDITIONAL, str, "applicable"),
        },
    ),
    "messaging.process.duration": Metric("histogram", "s", _METRIC | _METRIC_CONSUMER),
    "messaging.client.sent.messages": Metric("sum", "{message}", _METRIC),
    "messaging.client.consumed.messages": Metric("sum", "{message}", _METRIC | _METRIC_CONSUMER),
}

BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]


def table_problems(rules: Mapping[str, Rule], found: Mapping[str, Value]) -> list[str]:
    """What is wrong with the attributes, but for conditions."""
    problems = [
        f"{name} is missing"
        for name, rule in rules.items()
        if rule.level is REQUIRED and name not in found
    ]
    for name, value in found.items():
        if name.startswith("qa."):
            continue
        if (rule := rules.get(name)) is None:
            problems.append(f"{name} is not in the conventions")
        elif type(value) is not rule.kind:
            problems.append(f"{name} is a {type(value).__name__}")
    return problems


def span_problems(span: Span) -> list[str]:
    """What is wrong with a messaging span."""
    found = attributes(span)
    kind = str(found.get("messaging.operation.type"))
    if kind not in SPANS:
        return [f"{kind} is not an operation type"]
    problems = table_problems(SPANS[kind], found)
    failed = span.status.code == Status.STATUS_CODE_ERROR
    is_batch = kind in ("receive", "settle")
    destination = found.get("messaging.destination.template") or found.get(
        "messaging.destination.name"
    )
    name = f"{found['messaging.operation.name']} {destination or ''}".rstrip()
    checks = {
        f"the name is {span.name!r}": span.name == name,
        "the kind is wrong": span.kind in KINDS[kind],
        "messaging.system is not kafka": found["messaging.system"] == "kafka",
        "error.type goes with the status ERROR": ("error.type" in found) == failed,
        "the status repeats error.type": not failed
        or span.status.message != found.get("error.type"),
        "a successful status is unset": failed or span.status.code == Status.STATUS_CODE_UNSET,
        "a consumer names its group": ("messaging.consumer.group.name" in found)
        == (kind != "send"),
        "a batch has its size": ("messaging.batch.message_count" in found) == is_batch,
        "a message has its destination": is_batch or "messaging.destination.name" in found,
        "tombstone is only set if true": found.get("messaging.kafka.message.tombstone", True)
        is True,
        "a PRODUCER links to nothing": span.kind != Span.SPAN_KIND_PRODUCER or not span.links,
    }
    return problems + [problem for problem, holds in checks.items() if not holds]
