"""What goes to the Kafka client: `KAFKA_...`, in the Java client's property names."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from worker.settings.base import MIB, Group, below


class KafkaSettings(Group):
    """What goes to the client. Field `x_y` is the variable `KAFKA_X_Y`."""

    bootstrap_servers: str | None = Field(None, description="host:port, several with commas")
    group_id: str = Field("qa-worker", min_length=1, description="Consumer group")
    client_id: str = Field("qa-worker", description="Name in the broker's logs and quotas")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="How to log in, with SASL"
    )
    sasl_username: str | None = Field(None, description="Who logs in, with SASL")
    sasl_password: SecretStr | None = Field(None, description="Their password")
    ssl_truststore_location: Path | None = Field(
        None, description="PEM file of the authorities to trust; unset: the system's"
    )

    auto_offset_reset: Literal["earliest", "latest"] = Field(
        "earliest", description="Where a group without committed offsets begins"
    )
    isolation_level: Literal["read_committed", "read_uncommitted"] = Field(
        "read_committed", description="Whether questions of open transactions are read"
    )
    partition_assignment_strategy: Literal["roundrobin", "range"] = Field(
        "roundrobin", description="How a group shares its partitions"
    )
    session_timeout_ms: int = Field(
        10_000, ge=1_000, description="Silence after which the group drops a worker"
    )
    heartbeat_interval_ms: int = Field(3_000, ge=100, description="Time between heartbeats")
    rebalance_timeout_ms: int = Field(
        25_000, ge=1_000, description="Time that a rebalance waits for a worker to drain"
    )
    max_poll_interval_ms: int = Field(
        300_000, ge=1_000, description="Time without a poll after which a worker leaves the group"
    )
    request_timeout_ms: int = Field(40_000, ge=1_000, description="Time for one request")
    transaction_timeout_ms: int = Field(
        10_000,
        ge=1_000,
        description="Time for one transaction; then the brokers abort it",
    )
    max_poll_records: int = Field(100, ge=1, description="Records of one poll")
    max_partition_fetch_bytes: int = Field(
        MIB, ge=1024, description="Bytes fetched ahead for each partition"
    )
    linger_ms: int = Field(
        5, ge=0, description="Time that answers wait for company in a request, if at_least_once"
    )
    compression_type: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "none", description="Compression of answers and dead letters"
    )

    @model_validator(mode="after")
    def _work_together(self) -> "KafkaSettings":
        if self.heartbeat_interval_ms * 3 > self.session_timeout_ms:
            raise ValueError(
                f"KAFKA_HEARTBEAT_INTERVAL_MS ({self.heartbeat_interval_ms}) must be at most a "
                f"third of KAFKA_SESSION_TIMEOUT_MS ({self.session_timeout_ms})"
            )
        # JoinGroup is answered when the rebalance ends, and runs under the request timeout.
        below(
            "KAFKA_REBALANCE_TIMEOUT_MS",
            self.rebalance_timeout_ms,
            "KAFKA_REQUEST_TIMEOUT_MS",
            self.request_timeout_ms,
        )
        if self.security_protocol.startswith("SASL") and not (
            self.sasl_username and self.sasl_password
        ):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.security_protocol} needs KAFKA_SASL_USERNAME and "
                f"KAFKA_SASL_PASSWORD (or KAFKA_SASL_PASSWORD_FILE)"
            )
        return self
