"""The producer of at-least-once delivery. Committing offsets is the caller's task.

aiokafka's own producer hides which record a leader refuses, and cannot go on after a refusal: the
sequence numbers of the records behind it have a gap for ever.
"""

from collections.abc import Mapping, Sequence

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IllegalOperation
from aiokafka.protocol.transaction import InitProducerIdRequest

from worker.kafka.broker_client import BrokerClient
from worker.kafka.connection import connection_options
from worker.kafka.receipts import Receipt
from worker.kafka.record_sender import NO_PRODUCER, RecordSender
from worker.kafka.records import OutputRecord
from worker.settings import KafkaSettings


def client_for_producers(kafka: KafkaSettings) -> AIOKafkaClient:
    """Returns a client that is not connected yet. Raises `SettingsError`."""
    return AIOKafkaClient(
        **connection_options(kafka), metadata_max_age_ms=kafka.metadata_max_age_ms
    )


class IdempotentProducer:
    """Publishes records in order, each at least once. Call `start` first, and after an error."""

    def __init__(
        self,
        client: BrokerClient,
        kafka: KafkaSettings,
        limits: Mapping[str, int],
        *,
        producer_ids: bool = True,
    ) -> None:
        """`client` is started by the caller. `limits` maps a topic to its `max.message.bytes`.

        `producer_ids` is False for brokers that give none: a batch that is sent again because its
        acknowledgement was lost is then there twice.
        """
        self._producer_ids = producer_ids
        self._client = client
        self._timeout_ms = kafka.request_timeout_ms
        self._sender = RecordSender(
            client, limits, compression=kafka.compression_type, timeout_ms=self._timeout_ms
        )
        self._usable = False

    async def start(self) -> None:
        """Get a new producer id. Waits without a deadline for a broker. Raises `KafkaError` if
        repeating cannot help.
        """
        if self._producer_ids:
            response = await self._client.send_to_any_broker(
                InitProducerIdRequest(None, self._timeout_ms),
                lambda answer: [answer.error_code],
                connection=self._sender.connection,
            )
            self._sender.begin(response.producer_id, response.producer_epoch)
        else:
            self._sender.begin(*NO_PRODUCER)
        self._usable = True

    async def publish(self, records: Sequence[OutputRecord]) -> Mapping[int, Receipt]:
        """Returns once all in-sync replicas have the records: the receipt of each by its index.
        Waits without a deadline for the leaders. Raises `RecordsRefusedError` and other
        `KafkaError`s.
        """
        if not self._usable:
            raise IllegalOperation("call start() first, and after an error")
        self._usable = False
        acknowledged = await self._sender.send(await self._sender.encode(records))
        self._usable = True
        return acknowledged
