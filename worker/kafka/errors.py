"""What an error of the client means for the worker: ask again, begin again, or stop.

The table is whole: every error that aiokafka can name has its verdict here, so that none is
decided by accident. `python -m tests.readme` writes it into the README.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from aiokafka import errors as kafka


class StreamingError(Exception):
    """The worker cannot go on; one line that says why and what to do."""


class UnstableOffsetCommit(kafka.BrokerResponseError):  # type: ignore[misc]  # aiokafka is untyped
    """A transaction that may yet commit this offset has not ended."""

    errno = 88
    message = "UNSTABLE_OFFSET_COMMIT"
    description = "There are unstable offsets that need to be cleared"
    retriable = True


class Recovery(Enum):
    """What to do about an error."""

    RETRY = "retry"
    """Passes by itself: the same request again, to whoever leads or coordinates now."""
    RESET = "reset"
    """State that is lost or in doubt: a new fence and back to the committed offset (a partition in
    exactly-once delivery), or a new session, which begins there too."""
    FATAL = "fatal"
    """Rights, versions, names: stays as it is until somebody changes it."""


_RETRY: tuple[type[Exception], ...] = (
    kafka.BrokerNotAvailableError,
    kafka.Cancelled,
    kafka.ConcurrentTransactions,
    kafka.CoordinatorLoadInProgressError,
    kafka.CoordinatorNotAvailableError,
    kafka.CorrelationIdError,
    kafka.GroupCoordinatorNotAvailableError,
    kafka.GroupLoadInProgressError,
    kafka.KafkaConnectionError,
    kafka.KafkaProtocolError,
    kafka.KafkaStorageError,
    kafka.KafkaUnavailableError,
    kafka.LeaderNotAvailableError,
    kafka.MetadataEmptyBrokerList,
    kafka.NoBrokersAvailable,
    kafka.NodeNotReadyError,
    kafka.NotControllerError,
    kafka.NotCoordinatorError,
    kafka.NotCoordinatorForGroupError,
    kafka.NotEnoughReplicasAfterAppendError,
    kafka.NotEnoughReplicasError,
    kafka.NotLeaderForPartitionError,
    kafka.QuotaViolationError,
    kafka.ReassignmentInProgress,
    kafka.ReplicaNotAvailableError,
    kafka.RequestTimedOutError,
    kafka.StaleControllerEpochError,
    kafka.StaleLeaderEpochCodeError,
    kafka.StaleMetadata,
    kafka.TooManyInFlightRequests,
    kafka.UnknownTopicOrPartitionError,
    UnstableOffsetCommit,
)
_RESET: tuple[type[Exception], ...] = (
    kafka.BrokerResponseError,
    kafka.CommitFailedError,
    kafka.ConsumerStoppedError,
    kafka.CorruptRecordException,
    kafka.DuplicateSequenceNumber,
    kafka.FetchSessionIdNotFound,
    kafka.GroupIdNotFound,
    kafka.IllegalGenerationError,
    kafka.IllegalOperation,
    kafka.IllegalStateError,
    kafka.InvalidFetchRequestError,
    kafka.InvalidFetchSessionEpoch,
    kafka.InvalidMessageError,
    kafka.InvalidProducerEpoch,
    kafka.InvalidProducerIdMapping,
    kafka.InvalidTxnState,
    kafka.KafkaError,
    kafka.KafkaTimeoutError,
    kafka.LogDirNotFound,
    kafka.MemberIdRequired,
    # The topic takes less than it did: its limit is read again, the answer becomes a dead letter.
    kafka.MessageSizeTooLargeError,
    kafka.NoOffsetForPartitionError,
    kafka.NonEmptyGroup,
    kafka.OffsetOutOfRangeError,
    kafka.OperationNotAttempted,
    kafka.OutOfOrderSequenceNumber,
    kafka.ProducerClosed,
    kafka.ProducerFenced,
    kafka.RebalanceInProgressError,
    kafka.RecordListTooLargeError,
    kafka.RecordTooLargeError,
    kafka.TransactionCoordinatorFenced,
    kafka.UnknownError,
    kafka.UnknownMemberIdError,
    kafka.UnknownProducerId,
)
_FATAL: tuple[type[Exception], ...] = (
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

RECOVERY: Mapping[type[BaseException], Recovery] = MappingProxyType(
    {
        kind: recovery_for
        for recovery_for, kinds in (
            (Recovery.RETRY, _RETRY),
            (Recovery.RESET, _RESET),
            (Recovery.FATAL, _FATAL),
        )
        for kind in kinds
    }
)


def recovery_for(error: BaseException) -> Recovery:
    """What to do about `error`. What is no error of Kafka's (a timeout, a socket's) is state in
    doubt.
    """
    # aiokafka wraps what breaks its coordination task in a plain KafkaError.
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(cause, _FATAL) for cause in causes):
        return Recovery.FATAL
    return RECOVERY.get(type(error), Recovery.RESET)


def error_for_code(code: int) -> type[kafka.BrokerResponseError]:
    """The error that a broker's code stands for, those included that aiokafka does not know."""
    return UnstableOffsetCommit if code == UnstableOffsetCommit.errno else kafka.for_code(code)


def format_error(error: BaseException) -> str:
    """The error as people read it, without line breaks; Kafka's own with their name in front."""
    message = " ".join(str(error).split())
    name = type(error).__name__
    if not message:
        return name
    if isinstance(error, kafka.KafkaError) and name not in message:
        return f"{name}: {message}"
    return message
