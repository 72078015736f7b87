"""The interface of the suite's brokers."""

from typing import Protocol


class Broker(Protocol):
    """A broker that the suite starts once. Tests use only its address."""

    bootstrap_servers: str
    """`host:port[,host:port…]`; empty before `start`."""

    @property
    def name(self) -> str:
        """The value of `TEST_BROKER` that selects this broker."""
        ...

    def start(self) -> None:
        """Starts the broker and waits until it serves. Raises `BrokerUnavailable`."""
        ...

    def stop(self) -> None:
        """Ends the broker and removes its files. Does nothing if it is not running."""
        ...
