"""A token that connections share until most of its lifetime has passed."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable

from aiokafka.abc import AbstractTokenProvider

REFRESH_FACTOR = 0.8
"""The part of a token's lifetime after which the next connection fetches a new one: the default of
the Java client's sasl.login.refresh.window.factor."""


class RenewedTokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped
    """Fetches a token when a connection logs in and the last token is old."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self._clock = clock
        self._token, self._refresh_at = "", float("-inf")
        self._fetching = asyncio.Lock()

    async def token(self) -> str:
        """Raises the errors of `_fetch`."""
        async with self._fetching:
            began = self._clock()
            if began >= self._refresh_at:
                self._token, seconds = await self._fetch()
                self._refresh_at = began + REFRESH_FACTOR * seconds
            return self._token

    @abstractmethod
    async def _fetch(self) -> tuple[str, float]:
        """A token and its lifetime in seconds."""
