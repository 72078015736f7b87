"""Chooses the delivery."""

from collections.abc import Mapping

from worker.kafka.consumer import GroupConsumer
from worker.settings import Settings
from worker.streaming.delivery.at_least_once import AtLeastOnce
from worker.streaming.delivery.base import Delivery
from worker.streaming.delivery.exactly_once import ExactlyOnce


def create_delivery(
    settings: Settings, limits: Mapping[str, int], intake: GroupConsumer
) -> Delivery:
    """The one that `QA_DELIVERY` names. `limits` is topic to `max.message.bytes`."""
    if settings.qa.delivery == "exactly_once":
        return ExactlyOnce(settings.kafka, limits, intake)
    return AtLeastOnce(settings.kafka, limits, intake)
