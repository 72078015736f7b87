"""Quotas: for how long a broker reads nothing more from a connection (KIP-219).

A broker that enforces a quota answers at once and names the time for which it then mutes the
connection. A request that is sent meanwhile waits in the broker's socket, and looks like a broker
that does not answer.
"""

import asyncio
import time
from collections.abc import Callable, Hashable

from aiokafka.errors import KafkaError

OnThrottled = Callable[[str, float], None]
"""Called with the name of a request's class, and the seconds for which its connection is muted."""


def ignore_throttled(_request: str, _seconds: float) -> None:
    """The `OnThrottled` of commands that report no quota."""


class ThrottledError(KafkaError):  # type: ignore[misc]  # aiokafka is untyped
    """A quota delays the request beyond its deadline. It was not sent."""


class Throttle:
    """The muted connections, under any keys. Pure but for `wait`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[Hashable, float] = {}

    def mute(self, connection: Hashable, seconds: float) -> None:
        """The broker reads nothing from the connection for so many seconds from now on."""
        until = self._clock() + seconds
        self._until[connection] = max(until, self._until.get(connection, until))

    def remaining(self, connection: Hashable) -> float:
        """Seconds until the broker reads from the connection again; 0 if it does now."""
        remaining = self._until.get(connection, float("-inf")) - self._clock()
        if remaining <= 0:
            self._until.pop(connection, None)
        return max(0.0, remaining)

    async def wait(self, connection: Hashable) -> None:
        """Wait until the broker reads from the connection."""
        while (remaining := self.remaining(connection)) > 0:  # noqa: ASYNC110 - the time is known
            await asyncio.sleep(remaining)


def throttle_seconds(response: object) -> float:
    """Seconds for which the sender of the request is throttled, from any response."""
    return float(getattr(response, "throttle_time_ms", 0) or 0) / 1000
