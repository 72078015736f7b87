"""Chooses the delivery that QA_DELIVERY names."""

from collections.abc import Mapping

from worker.kafka.cluster_support import ClusterSupport
from worker.kafka.consumer import GroupConsumer
from worker.kafka.throttle import OnThrottled
from worker.observability.record_trace import TraceDispatcher
from worker.settings import Settings
from worker.streaming.delivery.at_least_once import AtLeastOnce
from worker.streaming.delivery.base import CommitPolicy, Delivery
from worker.streaming.delivery.exactly_once import ExactlyOnce


def create_delivery(
    settings: Settings,
    limits: Mapping[str, int],
    consumer: GroupConsumer,
    traces: TraceDispatcher,
    on_throttled: OnThrottled,
    support: ClusterSupport,
) -> Delivery:
    """`limits` maps topics to `max.message.bytes`."""
    qa = settings.qa
    policy = CommitPolicy(interval=qa.commit_interval_ms / 1000, records=qa.commit_records)
    arguments = settings.kafka, limits, consumer, policy, traces, on_throttled
    if qa.delivery == "exactly_once":
        return ExactlyOnce(*arguments)
    return AtLeastOnce(*arguments, producer_ids=support.producer_ids)
