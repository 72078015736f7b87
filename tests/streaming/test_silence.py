"""When a session whose brokers do not answer is replaced."""

import pytest
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs

from worker.kafka.errors import StreamingError
from worker.streaming.silence import SILENCE_SECONDS, SilenceGuard, SilentSessionError

LONG = SILENCE_SECONDS + 1


class Brokers:
    """What new connections meet."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.probes = 0

    async def probe(self) -> Exception | None:
        self.probes += 1
        if isinstance(self.error, StreamingError):
            raise self.error
        return self.error


async def test_a_short_silence_opens_no_connection() -> None:
    brokers = Brokers()
    await SilenceGuard(brokers.probe).check(SILENCE_SECONDS)
    assert brokers.probes == 0


async def test_two_new_connections_in_a_row_replace_the_session() -> None:
    guard = SilenceGuard(Brokers().probe)
    await guard.check(LONG)
    with pytest.raises(SilentSessionError, match=r"no answer for 11 s, although new connections"):
        await guard.check(LONG)


async def test_a_session_that_answers_meanwhile_is_kept() -> None:
    guard = SilenceGuard(Brokers().probe)
    await guard.check(LONG)
    guard.answered()
    await guard.check(LONG)


async def test_brokers_that_are_away_keep_the_session_and_are_named() -> None:
    brokers = Brokers()
    guard = SilenceGuard(brokers.probe)
    await guard.check(LONG)
    brokers.error = KafkaConnectionError("kafka-1:9092: certificate verify failed")
    with capture_logs() as logs:
        for _ in range(3):
            await guard.check(LONG)
    assert {each["event"] for each in logs} == {"new_connection_failed"}
    assert "certificate verify failed" in logs[0]["error"]
    brokers.error = None
    await guard.check(LONG)  # the first of two in a row again
    with pytest.raises(SilentSessionError):
        await guard.check(LONG)


async def test_a_refused_login_ends_the_worker() -> None:
    guard = SilenceGuard(Brokers(StreamingError("kafka-1:9092 rejects the login")).probe)
    with pytest.raises(StreamingError, match="rejects the login"):
        await guard.check(LONG)


async def test_sessions_that_do_not_help_are_replaced_less_often() -> None:
    brokers = Brokers()
    guard = SilenceGuard(brokers.probe)
    for silence in (LONG, 2 * SILENCE_SECONDS + 1, 4 * SILENCE_SECONDS + 1):
        probes = brokers.probes
        await guard.check(silence - 1)
        assert brokers.probes == probes
        await guard.check(silence)
        with pytest.raises(SilentSessionError):
            await guard.check(silence)
    guard.answered()
    await guard.check(LONG)
    with pytest.raises(SilentSessionError):
        await guard.check(LONG)
