"""What goes to the Kafka client: `KAFKA_...`, in the Java client's property names."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from worker.settings.base import MIB, SettingsGroup, require_below


class KafkaSettings(SettingsGroup):
    """What goes to the client. Field `x_y` is the variable `KAFKA_X_Y`."""

    bootstrap_servers: str | None = Field(None, description="host:port, several with commas")
    group_id: str = Field("qa-worker", min_length=1, description="Consumer group")
    client_id: str = Field("qa-worker", description="Name in the broker's logs and quotas")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "PLAIN", description="How to log in, with SASL"
    )
    sasl_username: str | None = Field(None, description="Who logs in, with PLAIN and SCRAM")
    sasl_password: SecretStr | None = Field(None, description="Their password")
    sasl_oauthbearer_token_endpoint_url: str | None = Field(
        None,
        pattern=r"^(https?://[^\s/@]+(/\S*)?|file:///\S+)$",
        description="Where tokens come from, with OAUTHBEARER; file:///PATH: a file, read anew at "
        "each login",
    )
    sasl_oauthbearer_client_credentials_client_id: str | None = Field(
        None, description="Who asks for a token there"
    )
    sasl_oauthbearer_client_credentials_client_secret: SecretStr | None = Field(
        None, description="Their secret"
    )
    sasl_oauthbearer_scope: str | None = Field(None, description="Scope to ask for, if any")
    ssl_truststore_location: Path | None = Field(
        None, description="PEM file of the authorities to trust; unset: the system's"
    )
    ssl_keystore_location: Path | None = Field(
        None, description="PEM file of the worker's own key and certificates, if brokers ask"
    )
    ssl_key_password: SecretStr | None = Field(
        None, description="Password of the key in there, if it has one"
    )
    ssl_endpoint_identification_algorithm: Literal["https", "none"] = Field(
        "https",
        description="Whether a broker's certificate has to name its host (https) or not (none)",
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
        require_below(
            "KAFKA_REBALANCE_TIMEOUT_MS",
            self.rebalance_timeout_ms,
            "KAFKA_REQUEST_TIMEOUT_MS",
            self.request_timeout_ms,
        )
        self._can_log_in()
        return self

    def _can_log_in(self) -> None:
        if self.ssl_key_password and not self.ssl_keystore_location:
            raise ValueError("KAFKA_SSL_KEY_PASSWORD needs KAFKA_SSL_KEYSTORE_LOCATION")
        if not self.security_protocol.endswith("SSL") and self.ssl_keystore_location:
            # Somebody believes that they are known by their certificate, and encrypted.
            raise ValueError(
                f"KAFKA_SSL_KEYSTORE_LOCATION is of no use with "
                f"KAFKA_SECURITY_PROTOCOL={self.security_protocol}; it needs SSL or SASL_SSL"
            )
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
                f"KAFKA_SASL_MECHANISM=OAUTHBEARER needs {oauth}_TOKEN_ENDPOINT_URL: an address "
                f"that gives tokens, or file:///PATH of a token"
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
