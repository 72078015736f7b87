"""Settings of the Kafka client: `KAFKA_...`, under the property names of the Java client."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from worker.settings.base import MIB, SettingsGroup, require_below
from worker.settings.bootstrap import parse_bootstrap_servers

_JAVA_ASSIGNORS = {
    "org.apache.kafka.clients.consumer.RoundRobinAssignor": "roundrobin",
    "org.apache.kafka.clients.consumer.RangeAssignor": "range",
    "org.apache.kafka.clients.consumer.StickyAssignor": "sticky",
}


class KafkaSettings(SettingsGroup):
    """Field `x_y` is the variable `KAFKA_X_Y`."""

    bootstrap_servers: str | None = Field(
        None, description="Brokers as host:port, separated by commas"
    )
    group_id: str = Field("qa-worker", min_length=1, description="Consumer group id")
    group_instance_id: str | None = Field(
        None,
        max_length=249,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Static member of the group (KIP-345): a name that this worker alone has, and "
        "keeps over restarts, so that a restart moves no partition; default: dynamic",
    )
    client_id: str = Field("qa-worker", description="Client name in the brokers' logs and quotas")
    client_rack: str | None = Field(
        None,
        description="Rack or zone of the worker (KIP-392): fetch from a replica whose broker.rack "
        "is the same, if the brokers have a replica.selector.class; default: from the leader",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    sasl_mechanism: Literal[
        "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"
    ] = Field(
        "PLAIN",
        description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, or AWS_MSK_IAM (extra msk; "
        "region, role and profile by AWS' own variables)",
    )
    sasl_username: str | None = Field(None, description="User name for PLAIN and SCRAM")
    sasl_password: SecretStr | None = Field(None, description="Password for PLAIN and SCRAM")
    sasl_oauthbearer_token_endpoint_url: str | None = Field(
        None,
        pattern=r"^(https?://[^\s/@]+(/\S*)?|file:///\S+)$",
        description="OAUTHBEARER: URL of the token endpoint, or file:///PATH of a token, read at "
        "each login",
    )
    sasl_oauthbearer_client_credentials_client_id: str | None = Field(
        None, description="OAUTHBEARER: client id"
    )
    sasl_oauthbearer_client_credentials_client_secret: SecretStr | None = Field(
        None, description="OAUTHBEARER: client secret"
    )
    sasl_oauthbearer_scope: str | None = Field(None, description="OAUTHBEARER: scope to request")
    ssl_truststore_location: Path | None = Field(
        None, description="PEM file of trusted CA certificates; default: the system's"
    )
    ssl_keystore_location: Path | None = Field(
        None, description="PEM file of the client's key and certificate chain, for mutual TLS"
    )
    ssl_key_password: SecretStr | None = Field(
        None, description="Password of the key in KAFKA_SSL_KEYSTORE_LOCATION"
    )
    ssl_endpoint_identification_algorithm: Literal["https", "none"] = Field(
        "https",
        description="https: verify that the broker's certificate names its host; none: do not",
    )

    auto_offset_reset: Literal["earliest", "latest"] = Field(
        "earliest",
        description="Start position of a group without any committed offset of the questions "
        "topic: earliest or latest",
    )
    isolation_level: Literal["read_committed", "read_uncommitted"] = Field(
        "read_committed",
        description="read_committed; read_uncommitted also reads records of open transactions",
    )
    partition_assignment_strategy: Literal["roundrobin", "range", "sticky"] = Field(
        "roundrobin",
        description="roundrobin, range or sticky, or the Java client's class of the same name",
    )
    session_timeout_ms: int = Field(
        10_000,
        ge=1_000,
        description="Time without a heartbeat after which the group removes the worker",
    )
    heartbeat_interval_ms: int = Field(
        1_000,
        ge=100,
        description="Time between heartbeats; a worker learns of a rebalance at the next one",
    )
    rebalance_timeout_ms: int = Field(
        25_000,
        ge=1_000,
        description="Time that a rebalance waits for the worker to drain and rejoin",
    )
    max_poll_interval_ms: int = Field(
        300_000, ge=1_000, description="Time without a poll after which the worker leaves the group"
    )
    metadata_max_age_ms: int = Field(
        30_000,
        ge=1_000,
        description="Time after which metadata is fetched again: until then, partitions that were "
        "added to a topic are not known",
    )
    request_timeout_ms: int = Field(40_000, ge=1_000, description="Timeout of a request")
    connections_max_idle_ms: int = Field(
        540_000,
        ge=1_000,
        description="Time after which a connection without requests is closed",
    )
    max_request_size: int | None = Field(
        None,
        ge=1024,
        description="Maximum bytes of a request that publishes, for brokers that close the "
        "connection at a larger one; default: the topics' max.message.bytes",
    )
    transaction_timeout_ms: int = Field(
        10_000,
        ge=1_000,
        description="Timeout of a transaction, after which the coordinator aborts it",
    )
    max_poll_records: int = Field(
        100,
        ge=1,
        description="Maximum number of records that are polled and wait for capacity, over all "
        "partitions",
    )
    max_partition_fetch_bytes: int = Field(
        MIB, ge=1024, description="Maximum bytes that one fetch returns for each partition"
    )
    compression_type: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "none", description="none, gzip, snappy, lz4 or zstd; for answers and dead letters"
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _normalize_servers(cls, text: str | None) -> str | None:
        return text and ",".join(parse_bootstrap_servers(text))

    @field_validator("partition_assignment_strategy", mode="before")
    @classmethod
    def _short_name(cls, name: str) -> str:
        return _JAVA_ASSIGNORS.get(name, name)

    @property
    def has_token_login(self) -> bool:
        """Whether connections log in with a token (SASL/OAUTHBEARER)."""
        by_token = self.sasl_mechanism in ("OAUTHBEARER", "AWS_MSK_IAM")
        return by_token and self.security_protocol.startswith("SASL")

    @model_validator(mode="after")
    def _check_timeouts(self) -> "KafkaSettings":
        if self.heartbeat_interval_ms * 3 > self.session_timeout_ms:
            raise ValueError(
                f"KAFKA_HEARTBEAT_INTERVAL_MS ({self.heartbeat_interval_ms}) must be at most a "
                f"third of KAFKA_SESSION_TIMEOUT_MS ({self.session_timeout_ms})"
            )
        # The coordinator answers JoinGroup when the rebalance ends; the request timeout covers it.
        require_below(
            "KAFKA_REBALANCE_TIMEOUT_MS",
            self.rebalance_timeout_ms,
            "KAFKA_REQUEST_TIMEOUT_MS",
            self.request_timeout_ms,
        )
        self._check_login()
        return self

    def _check_login(self) -> None:
        if self.ssl_key_password and not self.ssl_keystore_location:
            raise ValueError("KAFKA_SSL_KEY_PASSWORD needs KAFKA_SSL_KEYSTORE_LOCATION")
        if not self.security_protocol.endswith("SSL") and self.ssl_keystore_location:
            # The connection would be neither encrypted nor authenticated by the certificate.
            raise ValueError(
                f"KAFKA_SSL_KEYSTORE_LOCATION has no effect with "
                f"KAFKA_SECURITY_PROTOCOL={self.security_protocol}; it needs SSL or SASL_SSL"
            )
        if self.sasl_mechanism == "AWS_MSK_IAM":
            if self.security_protocol != "SASL_SSL":
                # Without SASL the mechanism would have no effect. Without TLS the token would be
                # readable on the network, and it is valid for 15 minutes.
                raise ValueError(
                    f"KAFKA_SASL_MECHANISM=AWS_MSK_IAM needs KAFKA_SECURITY_PROTOCOL=SASL_SSL, not "
                    f"{self.security_protocol}"
                )
            return
        if not self.security_protocol.startswith("SASL"):
            return
        protocol = f"KAFKA_SECURITY_PROTOCOL={self.security_protocol}"
        if self.sasl_mechanism != "OAUTHBEARER":
            if not (self.sasl_username and self.sasl_password):
                raise ValueError(
                    f"{protocol} needs KAFKA_SASL_USERNAME and "
                    f"KAFKA_SASL_PASSWORD (or KAFKA_SASL_PASSWORD_FILE)"
                )
            return
        oauth = "KAFKA_SASL_OAUTHBEARER"
        endpoint = self.sasl_oauthbearer_token_endpoint_url
        if endpoint is None:
            raise ValueError(
                f"KAFKA_SASL_MECHANISM=OAUTHBEARER needs {oauth}_TOKEN_ENDPOINT_URL: the "
                f"URL of a token endpoint, or file:///PATH of a token"
            )
        credentials = (
            self.sasl_oauthbearer_client_credentials_client_id,
            self.sasl_oauthbearer_client_credentials_client_secret,
        )
        if not endpoint.startswith("file:") and not all(credentials):
            raise ValueError(
                f"{oauth}_TOKEN_ENDPOINT_URL needs {oauth}_CLIENT_CREDENTIALS_CLIENT_ID and "
                f"{oauth}_CLIENT_CREDENTIALS_CLIENT_SECRET (or …_CLIENT_SECRET_FILE)"
            )
