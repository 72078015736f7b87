"""What an error of the client means for the worker: open the session anew, or stop.

What aiokafka retries by itself never comes here. Of the rest, a new session (consumer, producer,
positions from the committed offsets) cures whatever is about state; what is about rights,
versions or names stays as it is until somebody changes it, so the worker stops and says so.
"""

from aiokafka import errors as kafka


class StreamingError(Exception):
    """The worker cannot go on; one line that says why and what to do."""


_STOPS: tuple[type[Exception], ...] = (
    kafka.AuthenticationFailedError,
    kafka.SaslAuthenticationFailed,
    kafka.UnsupportedSaslMechanismError,
    kafka.IllegalSaslStateError,
    kafka.TopicAuthorizationFailedError,
    kafka.GroupAuthorizationFailedError,
    kafka.ClusterAuthorizationFailedError,
    kafka.TransactionalIdAuthorizationFailed,
    kafka.UnsupportedVersionError,
    kafka.IncompatibleBrokerVersion,
    kafka.InvalidTopicError,
    kafka.InvalidGroupIdError,
    kafka.InconsistentGroupProtocolError,
    kafka.InvalidSessionTimeoutError,
)


def stops_the_worker(error: BaseException) -> bool:
    """True where no new session can help."""
    # aiokafka wraps what breaks its coordination task in a plain KafkaError.
    causes = (error, error.__cause__, error.__context__)
    return any(isinstance(cause, (*_STOPS, StreamingError)) for cause in causes)


def in_a_line(error: BaseException) -> str:
    """The error as people read it, without line breaks; Kafka's own with their name in front."""
    message = " ".join(str(error).split())
    name = type(error).__name__
    if not message:
        return name
    if isinstance(error, kafka.KafkaError) and not message.startswith(name):
        return f"{name}: {message}"
    return message
