"""Record batches written byte by byte, so that tests can write what no producer would."""

import asyncio
import struct
import time
from collections.abc import Sequence
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import NotLeaderForPartitionError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c, encode_varint

NOW = round(time.time() * 1000)
"""Of all records, in milliseconds: brokers delete old ones."""
HEADER_BYTES = 61
CRC_AT = 17
_ENCODE = {
    "gzip": gzip_encode,
    "snappy": snappy_encode,
    "lz4": lz4_encode,
    "zstd": zstd_encode,
}
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def varint(number: int) -> bytes:
    out = bytearray()
    encode_varint(number, out.append)
    return bytes(out)


def sized(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def record(
    offset_delta: int,
    value: bytes | None,
    *,
    key: bytes | None = b"k",
    headers: Sequence[tuple[bytes, bytes | None]] = (),
    tail: bytes = b"",
) -> bytes:
    """A record with its length; `tail` follows its last header."""
    in_headers = b"".join(sized(name) + sized(text) for name, text in headers)
    body = b"".join(
        (
            b"\0",
            varint(0),
            varint(offset_delta),
            sized(key),
            sized(value),
            varint(len(headers)),
            in_headers,
            tail,
        )
    )
    return varint(len(body)) + body


def compressed(codec: str, data: bytes) -> bytes:
    return bytes(_ENCODE[codec](data))


def batch(
    records: Sequence[bytes],
    *,
    base_offset: int = 0,
    codec: str = "none",
    payload: bytes | None = None,
    count: int | None = None,
    transactional: bool = False,
) -> bytes:
    """A batch with a correct CRC; `payload` and `count` replace those of `records`."""
    data = b"".join(records)
    if payload is None:
        payload = compressed(codec, data) if codec in _ENCODE else data
    count = len(records) if count is None else count
    attributes = CODECS.get(codec, 7) | (0x10 if transactional else 0)
    after_crc = struct.pack(">hiqqqhii", attributes, max(count, 1) - 1, NOW, NOW, -1, -1, -1, count)
    after_crc += payload
    crc = calc_crc32c(after_crc)
    return struct.pack(">qiibI", base_offset, len(after_crc) + 9, -1, 2, crc) + after_crc


def with_wrong_crc(batch: bytes) -> bytes:
    """The last byte is another one."""
    return batch[:-1] + bytes([batch[-1] ^ 0xFF])


async def produce(servers: str, topic: str, partition: int, batch: bytes) -> int:
    """Send the batch as it is. Returns the offset of its first record. Raises `KafkaError`."""
    client = AIOKafkaClient(bootstrap_servers=servers)
    await client.bootstrap()
    try:
        await client.add_topic(topic)
        node = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        request = ProduceRequest(
            transactional_id=None,
            required_acks=-1,
            timeout=10_000,
            topics=[(topic, [(partition, batch)])],
        )
        async with asyncio.timeout(10):
            error = NotLeaderForPartitionError.errno
            while error == NotLeaderForPartitionError.errno:  # as long as the topic is new
                response = await client.send(node, request)
                ((_, ((_, error, offset, *_),)),) = response.topics
        if error:
            raise for_code(error)(topic, partition)
        assert isinstance(offset, int)
        return offset
    finally:
        await client.close()


def damage_length(log: Path, offset: int) -> None:
    """Overwrite the length of the batch that begins at `offset` in a broker's log file."""
    data, at = log.read_bytes(), 0
    while struct.unpack_from(">q", data, at)[0] != offset:
        at += 12 + int(struct.unpack_from(">i", data, at + 8)[0])
    with log.open("r+b") as file:
        file.seek(at + 8)
        file.write(struct.pack(">i", 5))


def flip_last_byte(log: Path, offset: int) -> None:
    """Invert the last byte of the batch that holds `offset` in a broker's log file."""
    data, at = log.read_bytes(), 0
    while True:
        base, length = struct.unpack_from(">qi", data, at)
        (last_delta,) = struct.unpack_from(">i", data, at + 23)
        end = at + 12 + length
        if base <= offset <= base + last_delta:
            break
        at = end
    with log.open("r+b") as file:
        file.seek(end - 1)
        file.write(bytes([data[end - 1] ^ 0xFF]))
