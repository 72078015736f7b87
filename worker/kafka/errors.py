"""Classifies Kafka errors by how the worker recovers, and formats them as one line."""

from collections.abc import Mapping
from enum import Enum

from aiokafka import errors as kafka

from worker.kafka.error_codes import FencedInstanceId, GroupMaxSizeReached, protocol_name


class StreamingError(Exception):
    """The worker, or a command that reads or writes its topics, cannot continue; one line that says
    why and what to do.
    """


class Recovery(Enum):
    """What to do about an error."""

    RETRY = "retry"
    """Temporary: repeat the request, at the current leader or coordinator."""
    RESET = "reset"
    """State is lost or unknown: restart from the committed offset, with a new fence (a partition in
    exactly-once delivery) or in a new session."""
    FATAL = "fatal"
    """Permissions, versions, names: permanent until an operator changes something. Stop."""


RETRY = (
    kafka.BrokerNotAvailableError,
    kafka.ConcurrentTransactions,
    kafka.KafkaUnavailableError,
    kafka.QuotaViolationError,
    kafka.ReassignmentInProgress,
    kafka.ReplicaNotAvailableError,
    kafka.StaleControllerEpochError,
    kafka.StaleLeaderEpochCodeError,
)
"""Temporary errors, in addition to those that aiokafka marks as `retriable`."""

FATAL = (
    StreamingError,
    kafka.AuthenticationFailedError,
    kafka.AuthenticationMethodNotSupported,
    kafka.ClusterAuthorizationFailedError,
    kafka.DelegationTokenAuthDisabled,
    kafka.DelegationTokenAuthorizationFailed,
    kafka.DelegationTokenExpired,
    kafka.DelegationTokenNotFound,
    kafka.DelegationTokenOwnerMismatch,
    kafka.DelegationTokenRequestNotAllowed,
    FencedInstanceId,
    GroupMaxSizeReached,
    kafka.GroupAuthorizationFailedError,
    kafka.IllegalArgumentError,
    kafka.IllegalSaslStateError,
    kafka.IncompatibleBrokerVersion,
    kafka.InconsistentGroupProtocolError,
    kafka.InvalidCommitOffsetSizeError,
    kafka.InvalidConfigurationError,
    kafka.InvalidGroupIdError,
    kafka.InvalidPartitionsError,
    kafka.InvalidPrincipalType,
    kafka.InvalidReplicationAssignmentError,
    kafka.InvalidReplicationFactorError,
    kafka.InvalidRequestError,
    kafka.InvalidRequiredAcksError,
    kafka.InvalidSessionTimeoutError,
    kafka.InvalidTimestampError,
    kafka.InvalidTopicError,
    kafka.InvalidTransactionTimeout,
    kafka.KafkaConfigurationError,
    kafka.ListenerNotFound,
    kafka.OffsetMetadataTooLargeError,
    kafka.PolicyViolationError,
    kafka.SaslAuthenticationFailed,
    kafka.SecurityDisabled,
    kafka.TopicAlreadyExistsError,
    kafka.TopicAuthorizationFailedError,
    kafka.TransactionalIdAuthorizationFailed,
    kafka.UnrecognizedBrokerVersion,
    kafka.UnsupportedCodecError,
    kafka.UnsupportedForMessageFormatError,
    kafka.UnsupportedSaslMechanismError,
    kafka.UnsupportedVersionError,
)


_HINTS: Mapping[type[kafka.KafkaError], str] = {
    kafka.InvalidTransactionTimeout: "KAFKA_TRANSACTION_TIMEOUT_MS is above the brokers' "
    "transaction.max.timeout.ms; lower it",
    kafka.InvalidSessionTimeoutError: "KAFKA_SESSION_TIMEOUT_MS is outside the brokers' "
    "group.min.session.timeout.ms to group.max.session.timeout.ms",
    GroupMaxSizeReached: "the group has as many members as the brokers' group.max.size allows; "
    "run fewer workers or raise it",
    FencedInstanceId: "another process has joined the group under this worker's "
    "KAFKA_GROUP_INSTANCE_ID; give each worker its own",
    kafka.InconsistentGroupProtocolError: "the group's members use another "
    "KAFKA_PARTITION_ASSIGNMENT_STRATEGY; use theirs, or another KAFKA_GROUP_ID",
}
"""What to change, where the brokers' answer names neither our setting nor their property."""


def recovery_for(error: BaseException) -> Recovery:
    """Fatal, if the error or its cause is; RESET by default, also for errors that are not Kafka's
    (timeouts, sockets).
    """
    if any(isinstance(cause, FATAL) for cause in _causes(error)):
        return Recovery.FATAL
    if isinstance(error, RETRY) or getattr(error, "retriable", False):
        return Recovery.RETRY
    return Recovery.RESET


def format_error(error: BaseException) -> str:
    """The error's message on one line; a Kafka error's class name comes first, what to change
    last.
    """
    message = " ".join(str(error).split())
    name = type(error).__name__
    if not message:
        return name
    if isinstance(error, kafka.KafkaError) and name not in message:
        message = f"{name}: {message}"
    for cause in _causes(error):
        hint = _HINTS.get(type(cause), "")
        if hint and hint not in message:  # a StreamingError repeats its cause's message
            return f"{message}; {hint}"
    return message


def error_type(error: BaseException) -> str:
    """The value of `error.type` in spans and metrics: the protocol's name of an error that a broker
    answered, otherwise the class.
    """
    if isinstance(error, kafka.BrokerResponseError) and error.errno is not None:
        return protocol_name(error)
    return type(error).__qualname__


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what aiokafka wrapped in it.

    An error of its coordination task is the cause of a plain `KafkaError`. A code that JoinGroup
    or Heartbeat does not expect is only named in the text of one, as the `repr` of the error.
    """
    causes = [error, error.__cause__, error.__context__]
    if type(error) is kafka.KafkaError and error.args:
        text = str(error.args[0])
        causes += [kind() for kind in _HINTS if f"{kind.__name__}(" in text]
    return [cause for cause in causes if cause is not None]
