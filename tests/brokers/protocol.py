"""What every broker of the suite can do."""

from typing import Protocol


class Broker(Protocol):
    """Started once, then known by its address alone."""

    bootstrap_servers: str
    """`host:port[,host:port…]`; empty before `start`."""

    @property
    def name(self) -> str:
        """The value of `TEST_BROKER` that chooses it."""
        ...

    def start(self) -> None:
        """Returns when the Kafka protocol answers; raises `BrokerUnavailable` if it never does."""
        ...

    def stop(self) -> None:
        """Leaves nothing behind; does nothing if it is not running."""
        ...
