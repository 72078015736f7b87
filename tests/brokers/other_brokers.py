"""What brokers that are not Apache Kafka announce and refuse, each from a public source.

`KafkaProxy` plays them in front of Apache Kafka: what the worker needs beside these requests works.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO

from aiokafka.protocol.coordination import FindCoordinatorRequest_v1, FindCoordinatorResponse_v1
from aiokafka.protocol.transaction import InitProducerIdRequest_v0

from tests.brokers.kafka_proxy import Asked, CloseConnection, Versions

FIND_COORDINATOR, JOIN_GROUP, DESCRIBE_CONFIGS = 10, 11, 32
INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN = 22, 24, 25
END_TXN, TXN_OFFSET_COMMIT = 26, 28
TRANSACTIONS = (ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT)

COORDINATOR_NOT_AVAILABLE, UNSUPPORTED_VERSION, INVALID_REQUEST = 15, 35, 42
_TRANSACTION = 1
"""The type of coordinator in FindCoordinator."""


def _read_versions(text: str) -> Versions:
    """Of `key:lowest-highest`, separated by spaces."""
    entries = (entry.replace(":", "-").split("-") for entry in text.split())
    return {int(key): (int(low), int(high)) for key, low, high in entries}


def _forward(_: Asked) -> None:
    return None


@dataclass(frozen=True, eq=False)
class OtherBroker:
    """`versions` are the highest that it has, None for all of Apache Kafka's; `lacks` are the
    requests that it does not announce.
    """

    name: str
    versions: Mapping[int, tuple[int, int]] | None = None
    lacks: tuple[int, ...] = ()
    answer: Callable[[Asked], bytes | None] = _forward

    def __str__(self) -> str:
        return self.name

    def announce(self, real: Versions) -> Versions:
        """What it announces, as far as the broker behind it can do it."""
        wanted = self.versions or real
        return {
            key: (max(low, real[key][0]), min(high, real[key][1]))
            for key, (low, high) in wanted.items()
            if key in real and key not in self.lacks and high >= real[key][0]
        }


def _of_transactions(asked: Asked) -> bool:
    """Whether FindCoordinator asks for a transaction coordinator."""
    if asked.key != FIND_COORDINATOR or asked.version != 1:
        return False
    request = FindCoordinatorRequest_v1.decode(BytesIO(asked.body))
    return bool(request.coordinator_type == _TRANSACTION)


def coordinator_error(code: int, words: str | None = None) -> Callable[[Asked], bytes | None]:
    """Answers FindCoordinator for a transaction coordinator with an error."""

    def answer(asked: Asked) -> bytes | None:
        if not _of_transactions(asked):
            return None
        return bytes(FindCoordinatorResponse_v1(0, code, words, -1, "", -1).encode())

    return answer


def closes_at_transactions(asked: Asked) -> bytes | None:
    if asked.key == INIT_PRODUCER_ID or _of_transactions(asked):
        raise CloseConnection
    return None


def refuses_producer_ids_of_transactions(asked: Asked) -> bytes | None:
    """Names a coordinator, but the coordinator has no transactions."""
    if asked.key != INIT_PRODUCER_ID:
        return None
    if InitProducerIdRequest_v0.decode(BytesIO(asked.body)).transactional_id is None:
        return None
    # Throttle time, error, producer id and epoch.
    return b"\0\0\0\0" + UNSUPPORTED_VERSION.to_bytes(2, "big") + b"\xff" * 10


EVENT_HUBS_WORDS = (
    "FindCoordinator asked for coordinator with type code 1 which is not supported. type code 1 is "
    "only supported in Premium or Dedicated sku."
)
_EVENT_HUBS = _read_versions(
    "0:3-7 1:4-6 2:0-7 3:0-5 8:0-8 9:0-8 10:0-4 11:0-7 12:0-4 13:0-4 14:0-5 15:0-5 16:0-4 17:0-1 "
    "18:0-3 19:0-6 20:0-2 22:0-1 23:0-0 32:0-2 36:0-1 37:0-1 42:0-1"
)

EVENT_HUBS_REQUEST_BYTES = 1_046_528


def _closes_at_large_requests(asked: Asked) -> bytes | None:
    """https://learn.microsoft.com/azure/event-hubs/apache-kafka-configurations"""
    if len(asked.body) > EVENT_HUBS_REQUEST_BYTES:
        raise CloseConnection
    return None


EVENT_HUBS_STANDARD = OtherBroker(
    "Event Hubs, Standard", _EVENT_HUBS, answer=_closes_at_large_requests
)
"""ApiVersions of the log in https://github.com/aio-libs/aiokafka/issues/945 (2023); also that of
https://github.com/Azure/azure-event-hubs-for-kafka/issues/209 has none of the transactions."""

EVENT_HUBS_COORDINATOR = OtherBroker(
    "Event Hubs, Standard, since transactions exist in Premium",
    answer=coordinator_error(INVALID_REQUEST, EVENT_HUBS_WORDS),
)
"""The words of https://github.com/camunda-community-hub/zeebe-kafka-exporter/issues/390 (2025). The
report does not have the error's number; INVALID_REQUEST stands for any that is final."""

REDPANDA_WITHOUT_TRANSACTIONS = OtherBroker(
    "Redpanda, enable_transactions: false",
    lacks=TRANSACTIONS,
    answer=coordinator_error(UNSUPPORTED_VERSION),
)
"""src/v/kafka/server/handlers/api_versions.cc and find_coordinator.cc."""

REDPANDA_WITHOUT_IDEMPOTENCE = OtherBroker(
    "Redpanda, enable_idempotence: false",
    lacks=(INIT_PRODUCER_ID, DESCRIBE_CONFIGS, *TRANSACTIONS),
    answer=coordinator_error(UNSUPPORTED_VERSION),
)
"""The same sources; here also without DescribeConfigs. Oracle's Streaming
(https://github.com/helidon-io/helidon/issues/6718) and KafScale
(https://github.com/KafScale/platform/issues/28) have no InitProducerId either."""

PULSAR = OtherBroker(
    "Pulsar's KoP, kafkaTransactionCoordinatorEnabled: false",
    # Of Kafka 2.1: OffsetFetch 5, Metadata 7, DescribeConfigs 2.
    _read_versions(
        "0:0-7 1:0-10 2:0-4 3:0-7 8:0-6 9:0-5 10:0-2 11:0-3 12:0-2 13:0-2 14:0-2 15:0-2 16:0-2 "
        "17:0-1 18:0-2 19:0-3 20:0-3 22:0-1 24:0-1 25:0-1 26:0-1 28:0-2 32:0-2 36:0-0 37:0-1"
    ),
    answer=closes_at_transactions,
)
"""It announces what it refuses: KafkaRequestHandler.java, overloadDefaultApiVersionsResponse and
throwIfTransactionCoordinatorDisabled; KafkaCommandDecoder.java closes the channel then."""

CLOSES = OtherBroker("closes the connection", answer=closes_at_transactions)
"""As Pulsar's, with the versions of a newer Kafka."""

REFUSES_PRODUCER_IDS = OtherBroker(
    "names a coordinator that has no transactions", answer=refuses_producer_ids_of_transactions
)

STARTING_ANSWERS: list[int] = []
"""The errors that STARTING has answered."""


def _not_yet(asked: Asked) -> bytes | None:
    if len(STARTING_ANSWERS) == 4 or not _of_transactions(asked):
        return None
    STARTING_ANSWERS.append(COORDINATOR_NOT_AVAILABLE)
    return coordinator_error(COORDINATOR_NOT_AVAILABLE)(asked)


STARTING = OtherBroker("a broker that starts", answer=_not_yet)
"""It has a transaction coordinator at the fifth time of asking."""
