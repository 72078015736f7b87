"""Tells the listeners of a worker of each poll that returns records or fails."""

import time
from collections.abc import Collection

from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from worker.kafka.errors import error_type, format_error
from worker.kafka.records import InputRecord
from worker.observability.client_operations import Poll
from worker.observability.record_trace import TraceDispatcher
from worker.streaming.poller import Consumer


class ObservedConsumer:
    """A `Consumer` in front of another. Awaits nothing after the poll, as the poller requires."""

    def __init__(self, consumer: Consumer, traces: TraceDispatcher) -> None:
        self._consumer = consumer
        self._traces = traces

    async def poll(
        self, partitions: Collection[TopicPartition] | None, *, max_records: int, seconds: float
    ) -> list[InputRecord]:
        began = time.time_ns()
        try:
            records = await self._consumer.poll(
                partitions, max_records=max_records, seconds=seconds
            )
        except ConsumerStoppedError:  # the worker stops
            raise
        except KafkaError as error:
            failed = Poll(began, time.time_ns(), [], error_type(error), format_error(error))
            self._traces.polled(failed)
            raise
        if records:
            self._traces.polled(Poll(began, time.time_ns(), records))
        return records

    async def position(self, partition: TopicPartition) -> int:
        return await self._consumer.position(partition)
