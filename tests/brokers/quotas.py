"""Sets a quota on a client id, as `kafka-configs --alter --entity-type clients` does.

Defines the request AlterClientQuotas (KIP-546), which aiokafka lacks.
"""

from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

from worker.kafka._aiokafka import send_to_any_broker

_ENTITY = Array(("entity_type", String("utf-8")), ("entity_name", String("utf-8")))


class AlterClientQuotasResponse_v0(Response):  # type: ignore[misc]  # noqa: N801 - as aiokafka's
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "entries",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("entity", _ENTITY),
            ),
        ),
    )


class AlterClientQuotasRequest_v0(RequestStruct):  # type: ignore[misc]  # noqa: N801
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = AlterClientQuotasResponse_v0
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", _ENTITY),
                (
                    "ops",
                    Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean)),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class _AlterClientQuotas(Request[AlterClientQuotasRequest_v0]):  # type: ignore[misc]
    API_KEY = 49

    def __init__(self, client_id: str, rates: Mapping[str, float | None]) -> None:
        self._client_id = client_id
        self._rates = rates

    def build(
        self, request_struct_class: type[AlterClientQuotasRequest_v0]
    ) -> AlterClientQuotasRequest_v0:
        ops = [(key, rate or 0.0, rate is None) for key, rate in self._rates.items()]
        return request_struct_class([([("client-id", self._client_id)], ops)], False)


async def set_quota(servers: str, client_id: str, **rates: float | None) -> None:
    """Sets quotas such as `producer_byte_rate`, in bytes per second and broker. None removes one.

    Raises `KafkaError`.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        response = await send_to_any_broker(admin, _AlterClientQuotas(client_id, rates))
    finally:
        await admin.close()
    for code, message, _ in response.entries:
        if code:
            raise for_code(code)(message)
