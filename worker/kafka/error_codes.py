"""Kafka's error codes that aiokafka 0.14 does not know, registered with it.

aiokafka turns an unknown code into an `UnknownError` without the code. Importing this module adds a
class for each code to aiokafka's table, so that its clients raise an error that has a name.
Source of names and of what may be retried: `org.apache.kafka.common.protocol.Errors` of Kafka 4.4.
"""

from aiokafka import errors as kafka

_RETRIABLE = {
    74: "FENCED_LEADER_EPOCH",
    75: "UNKNOWN_LEADER_EPOCH",
    78: "OFFSET_NOT_AVAILABLE",
    80: "PREFERRED_LEADER_NOT_AVAILABLE",
    83: "ELIGIBLE_LEADERS_NOT_AVAILABLE",
    84: "ELECTION_NOT_NEEDED",
    88: "UNSTABLE_OFFSET_COMMIT",
    89: "THROTTLING_QUOTA_EXCEEDED",
    100: "UNKNOWN_TOPIC_ID",
    103: "INCONSISTENT_TOPIC_ID",
    106: "FETCH_SESSION_TOPIC_ID_ERROR",
}
_NOT_RETRIABLE = {
    73: "TOPIC_DELETION_DISABLED",
    76: "UNSUPPORTED_COMPRESSION_TYPE",
    77: "STALE_BROKER_EPOCH",
    81: "GROUP_MAX_SIZE_REACHED",
    82: "FENCED_INSTANCE_ID",
    85: "NO_REASSIGNMENT_IN_PROGRESS",
    86: "GROUP_SUBSCRIBED_TO_TOPIC",
    87: "INVALID_RECORD",
    91: "RESOURCE_NOT_FOUND",
    92: "DUPLICATE_RESOURCE",
    93: "UNACCEPTABLE_CREDENTIAL",
    97: "PRINCIPAL_DESERIALIZATION_FAILURE",
    104: "INCONSISTENT_CLUSTER_ID",
    105: "TRANSACTIONAL_ID_NOT_FOUND",
    109: "OFFSET_MOVED_TO_TIERED_STORAGE",
    110: "FENCED_MEMBER_EPOCH",
    111: "UNRELEASED_INSTANCE_ID",
    112: "UNSUPPORTED_ASSIGNOR",
    113: "STALE_MEMBER_EPOCH",
    120: "TRANSACTION_ABORTABLE",
    128: "INVALID_REGULAR_EXPRESSION",
    129: "REBOOTSTRAP_REQUIRED",
    134: "GROUP_DELETION_FAILED",
}

_MAX_CODE = 255
"""Codes up to this one that have no name here either keep their number."""


def _class_for(code: int) -> type[kafka.BrokerResponseError]:
    name = _RETRIABLE.get(code) or _NOT_RETRIABLE.get(code) or f"ERROR_{code}"
    words = name.replace("_", " ").lower()
    fields: dict[str, object] = {"errno": code, "message": name, "description": words}
    fields["retriable"] = code in _RETRIABLE
    return type(name.title().replace("_", ""), (kafka.BrokerResponseError,), fields)


def _register() -> None:
    for code in range(max(_MAX_CODE, *_RETRIABLE, *_NOT_RETRIABLE) + 1):
        kafka.kafka_errors.setdefault(code, _class_for(code))


_RENAMED = {
    -1: "UNKNOWN_SERVER_ERROR",
    6: "NOT_LEADER_OR_FOLLOWER",
    10: "MESSAGE_TOO_LARGE",
    13: "NETWORK_EXCEPTION",
    17: "INVALID_TOPIC_EXCEPTION",
}
"""Codes for which aiokafka has another name than the protocol."""


def protocol_name(error: kafka.BrokerResponseError | type[kafka.BrokerResponseError]) -> str:
    """The protocol's name of an error that a broker answered."""
    return _RENAMED.get(error.errno, str(error.message))


# Code 47 (InvalidProducerEpoch) and code 90 mean the same to a producer: a newer one fences it.
kafka.kafka_errors.setdefault(90, kafka.ProducerFenced)
_register()

GroupMaxSizeReached = kafka.for_code(81)
FencedInstanceId = kafka.for_code(82)
InvalidRecord = kafka.for_code(87)
UnsupportedCompressionType = kafka.for_code(76)
UnstableOffsetCommit = kafka.for_code(88)
