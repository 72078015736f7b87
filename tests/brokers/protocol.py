"""What every broker of the suite can do, and the places where they are allowed to differ."""

from typing import Protocol


class Broker(Protocol):
    """Started once, then known by its address alone."""

    bootstrap_servers: str
    """`host:port[,host:port…]`; empty before `start`."""

    @property
    def name(self) -> str:
        """The word that `TEST_BROKER` demands it by."""
        ...

    @property
    def is_apache(self) -> bool:
        """Whether Apache Kafka's own code answers, so that what holds here holds in production."""
        ...

    def start(self) -> None:
        """Returns when the Kafka protocol answers; raises `BrokerUnavailable` if it never does."""
        ...

    def stop(self) -> None:
        """Leaves nothing behind; does nothing if it is not running."""
        ...
