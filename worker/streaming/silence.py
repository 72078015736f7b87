"""Decides when a session whose brokers do not answer is replaced by a new one.

A session knows the brokers' addresses, certificates and logins as they were when it opened. When
the same brokers come back it goes on by itself, sooner than a new session could start. Where the
trusted certificates, the password or the addresses have changed it never does. So it is replaced
only if a new connection, with the settings' files read again, succeeds where the session fails.
"""

from collections.abc import Awaitable, Callable

import structlog

from worker.kafka.errors import format_error

log = structlog.get_logger(__name__)

SILENCE_SECONDS = 10.0
"""Time without an answer to a session after which new connections are tried."""

Probe = Callable[[], Awaitable[Exception | None]]
"""Opens a connection to the bootstrap servers and returns why that fails, or None. Raises
`StreamingError` if the login is refused."""


class SilentSessionError(TimeoutError):
    """The brokers answer new connections, but not this session."""


class SilenceGuard:
    """One for a worker: its patience grows while new sessions do not help."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._patience = SILENCE_SECONDS
        self._connected = False

    def answered(self) -> None:
        """A session had an answer to all that it asks."""
        self._patience = SILENCE_SECONDS
        self._connected = False

    async def check(self, seconds: float) -> None:
        """Call this regularly; the session has had no answer for `seconds`.

        Raises `SilentSessionError` if a new session is to replace it: at the second new connection
        in a row that succeeds, so that a session whose brokers have just returned has time to go
        on. Sessions that follow without an answer wait twice as long each. Raises `StreamingError`
        if a broker refuses the login.
        """
        if seconds <= self._patience:
            return
        error = await self._probe()
        if error is not None:
            self._connected = False
            log.warning("new_connection_failed", seconds=round(seconds), error=format_error(error))
        elif not self._connected:
            self._connected = True
        else:
            self._connected = False
            self._patience *= 2
            raise SilentSessionError(
                f"no answer for {seconds:.0f} s, although new connections to the bootstrap servers "
                f"succeed"
            )
