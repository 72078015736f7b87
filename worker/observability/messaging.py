"""Attributes of OpenTelemetry's semantic conventions for messaging, version 1.44. Pure.

Source: docs/messaging/messaging-spans.md, messaging-metrics.md and kafka.md of
https://github.com/open-telemetry/semantic-conventions at v1.44.0.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from worker.observability.client_operations import Header

Attributes: TypeAlias = dict[str, str | int | bool]

MAX_KEY_BYTES = 1024
"""Spans omit longer keys. A key may have a megabyte, and a truncated one would be another key."""


@dataclass(frozen=True, slots=True)
class MessagingClient:
    """What does not change from one message to the next."""

    group: str
    client_id: str
    server_address: str
    server_port: int
    topics: Collection[str] = ()
    """The topics that the worker's settings name in full."""
    reply_prefixes: Collection[str] = ()
    """Those of further topics that questions may name for their replies."""
    correlation_headers: Collection[str] = ()
    """Names in lower case of the headers that identify a conversation."""


class MessagingAttributes:
    """The attributes of the operations of one process."""

    cluster_id = ""
    """Known once the worker is connected."""

    def __init__(self, client: MessagingClient) -> None:
        self._client = client
        self._server: Attributes = {
            "server.address": client.server_address,
            "server.port": client.server_port,
        }
        self._prefixes = sorted(client.reply_prefixes, key=len, reverse=True)

    def span(self, name: str, kind: str, *, consumer: bool) -> Attributes:
        """Of an operation with this `messaging.operation.name` and `messaging.operation.type`."""
        attributes = self.metric(name, consumer=consumer)
        attributes["messaging.operation.type"] = kind
        attributes["messaging.client.id"] = self._client.client_id
        if self.cluster_id:
            attributes["messaging.kafka.cluster.id"] = self.cluster_id
        return attributes

    def metric(self, name: str, *, consumer: bool) -> Attributes:
        """Of a measurement of this operation."""
        attributes: Attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": name,
            **self._server,
        }
        if consumer:
            attributes["messaging.consumer.group.name"] = self._client.group
        return attributes

    def destination(self, topic: str) -> Attributes:
        """Of a span. A topic that a question named has its prefix as template."""
        template = self._template(topic)
        attributes: Attributes = {"messaging.destination.name": topic}
        if template != topic and template:
            attributes["messaging.destination.template"] = template
        return attributes

    def low_cardinality_destination(self, topic: str) -> Attributes:
        """Of a measurement: questions may name any number of topics for their replies."""
        template = self._template(topic)
        if template == topic:
            return {"messaging.destination.name": topic}
        return {"messaging.destination.template": template} if template else {}

    def span_name(self, operation: str, topics: Collection[str]) -> str:
        """The operation, and its destination if it has one of low cardinality."""
        template = self._template(next(iter(topics))) if len(topics) == 1 else ""
        return f"{operation} {template}".rstrip()

    def conversation(self, headers: Sequence[Header]) -> Attributes:
        """`messaging.message.conversation_id`, if a header has one that is text."""
        names = self._client.correlation_headers
        texts = (_text(text) for name, text in headers if text and name.lower() in names)
        conversation = next((text for text in texts if text is not None), None)
        return {} if conversation is None else {"messaging.message.conversation_id": conversation}

    def _template(self, topic: str) -> str:
        """The topic, or the prefix with `*` that allows it; empty if neither is known."""
        if topic in self._client.topics:
            return topic
        return next((f"{each}*" for each in self._prefixes if topic.startswith(each)), "")


def message(key: bytes | None, *, is_tombstone: bool) -> Attributes:
    """Of one message: its key, if it is text, and whether it has no value."""
    attributes: Attributes = {}
    if key is not None and (text := _text(key)) is not None:
        attributes["messaging.kafka.message.key"] = text
    if is_tombstone:
        attributes["messaging.kafka.message.tombstone"] = True
    return attributes


def position(partition: int | None, offset: int | None) -> Attributes:
    """Of one message: where it is, as far as that is known."""
    attributes: Attributes = {}
    if partition is not None:
        attributes["messaging.destination.partition.id"] = str(partition)
    if offset is not None:
        attributes["messaging.kafka.offset"] = offset
    return attributes


def shared(of_messages: Sequence[Mapping[str, str | int | bool]]) -> Attributes:
    """The attributes that are the same for all messages of a batch."""
    first, *others = of_messages
    return {
        name: value
        for name, value in first.items()
        if all(each.get(name) == value for each in others)
    }


def error(kind: str) -> Attributes:
    """`error.type`, which an operation has if and only if it has failed."""
    return {"error.type": kind} if kind else {}


def _text(raw: bytes) -> str | None:
    """None for bytes that are not UTF-8, and for too many."""
    if len(raw) > MAX_KEY_BYTES:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
