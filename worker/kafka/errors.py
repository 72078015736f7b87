"""Classifies Kafka errors by how the worker recovers, and formats them as one line."""

from enum import Enum

from aiokafka import errors as kafka


class StreamingError(Exception):
    """The worker, or a command that reads or writes its topics, cannot continue; one line that says
    why and what to do.
    """


class UnstableOffsetCommit(kafka.BrokerResponseError):  # type: ignore[misc]  # aiokafka is untyped
    """An open transaction may still commit this offset. aiokafka does not know the error."""

    errno = 88
    message = "UNSTABLE_OFFSET_COMMIT"
    description = "There are unstable offsets that need to be cleared"
    retriable = True


class InvalidRecordError(kafka.BrokerResponseError):  # type: ignore[misc]
    """The topic takes no such record: a compacted topic one without a key, for example. aiokafka
    does not know the error.
    """

    errno = 87
    message = "INVALID_RECORD"
    description = "This record has failed the validation on broker and hence will be rejected"
    retriable = False


_UNKNOWN_TO_AIOKAFKA = {
    87: InvalidRecordError,
    88: UnstableOffsetCommit,
    90: kafka.ProducerFenced,
}


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


def recovery_for(error: BaseException) -> Recovery:
    """Fatal, if the error or its cause is; RESET by default, also for errors that are not Kafka's
    (timeouts, sockets).
    """
    # aiokafka wraps an error of its coordination task in a plain KafkaError.
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(cause, FATAL) for cause in causes):
        return Recovery.FATAL
    if isinstance(error, RETRY) or getattr(error, "retriable", False):
        return Recovery.RETRY
    return Recovery.RESET


def error_for_code(code: int) -> type[kafka.KafkaError]:
    """The class for a broker's error code, also for codes that aiokafka does not know."""
    found: type[kafka.KafkaError] = _UNKNOWN_TO_AIOKAFKA.get(code) or kafka.for_code(code)
    return found


def format_error(error: BaseException) -> str:
    """The error's message on one line; a Kafka error's class name comes first."""
    message = " ".join(str(error).split())
    name = type(error).__name__
    if not message:
        return name
    if isinstance(error, kafka.KafkaError) and name not in message:
        return f"{name}: {message}"
    return message
