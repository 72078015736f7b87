"""Changes a SCRAM password at the brokers, as `kafka-configs --alter --add-config` does."""

import hashlib
import os

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from worker.kafka._aiokafka import send_to_any_broker

_SCRAM_SHA_512 = 2
_ITERATIONS = 4096


class _ResponseV0(Response):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _RequestV0(RequestStruct):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = 51
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _ResponseV0
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(
                ("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)
            ),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class AlterUserScramCredentials(Request[_RequestV0]):  # type: ignore[misc]  # aiokafka is untyped
    """KIP-554, for one user of SCRAM-SHA-512."""

    API_KEY = 51

    def __init__(self, user: str, password: str) -> None:
        salt = os.urandom(16)
        salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
        no_tags: dict[int, bytes] = {}
        self._upsertion = (user, _SCRAM_SHA_512, _ITERATIONS, salt, salted, no_tags)

    def build(self, request_struct_class: type[_RequestV0]) -> _RequestV0:
        return request_struct_class([], [self._upsertion], {})


async def set_password(servers: str, user: str, password: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        response = await send_to_any_broker(admin, AlterUserScramCredentials(user, password))
    finally:
        await admin.close()
    assert [error for _, error, *_ in response.results] == [0], response
