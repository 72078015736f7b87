"""A broker of Apache Kafka with TLS, client certificates, SASL and ACLs.

Its first listener (`bootstrap_servers`) is for the tests: it needs no login and allows everything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.brokers.apache import NEVER_KILLED, ApacheKafka, Listener
from tests.brokers.certificates import Authority

USER = "qa-worker"
PASSWORD = "s3cret-of-the-worker"
KEY_PASSWORD = "s3cret-of-the-key"
SESSION_MS = 1000
"""The broker closes an OAUTHBEARER connection that does not authenticate again in this time."""

_JAAS = "org.apache.kafka.common.security"


@dataclass(frozen=True, slots=True)
class SecureBroker:
    """A running broker, and the worker's environment variables for each kind of login."""

    bootstrap_servers: str
    """The address of the listener that needs no login."""
    ports: dict[str, int]
    """Listener to port."""
    directory: str
    """Of the certificates."""

    def tls(self) -> dict[str, str]:
        """Returns settings to log in by client certificate, as `User:CN=qa-worker`."""
        return {
            **self._with_truststore("TLS"),
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_KEYSTORE_LOCATION": str(self.keystore),
            "KAFKA_SSL_KEY_PASSWORD": KEY_PASSWORD,
        }

    def sasl(self, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
        """Returns settings to log in by password over TLS."""
        return {
            **self._with_truststore("LOGIN"),
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": mechanism,
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD": PASSWORD,
        }

    def oauth(self, endpoint: str, secret: str) -> dict[str, str]:
        """Returns settings to log in by OAUTHBEARER token over TLS.

        `endpoint` is the URL of a token endpoint or of a file. The broker closes a connection
        `SESSION_MS` after its login.
        """
        return {
            **self._with_truststore("LOGIN"),
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
            "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": endpoint,
            "KAFKA_SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_ID": USER,
            "KAFKA_SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET": secret,
        }

    def port(self, listener: str) -> int:
        """Returns the port of the listener `TLS` (client certificates) or `LOGIN` (SASL)."""
        return self.ports[listener]

    @property
    def keystore(self) -> Path:
        """The client's keystore, a PEM file. `KEY_PASSWORD` decrypts its key."""
        return Path(self.directory, f"{USER}.pem")

    def _with_truststore(self, listener: str) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.port(listener)}",
            "KAFKA_SSL_TRUSTSTORE_LOCATION": str(Path(self.directory, "authority.pem")),
        }


@contextmanager
def secure_broker(directory: Path) -> Iterator[SecureBroker]:
    """Runs the broker. Its certificates and those of its client are in `directory`."""
    authority = Authority(directory)
    authority.keystore(USER, password=KEY_PASSWORD)
    broker_keystore = authority.keystore("broker", host="127.0.0.1")
    properties = {
        **NEVER_KILLED,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(broker_keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.certificate),
        "listener.name.tls.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.login.plain.sasl.jaas.config": f"{_JAAS}.plain.PlainLoginModule required "
        f'user_{USER}="{PASSWORD}";',
        "listener.name.login.oauthbearer.sasl.jaas.config": f"{_JAAS}.oauthbearer."
        'OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
        "listener.name.login.oauthbearer.connections.max.reauth.ms": str(SESSION_MS),
    }
    scram = []
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        properties[f"listener.name.login.{mechanism.lower()}.sasl.jaas.config"] = (
            f"{_JAAS}.scram.ScramLoginModule required;"
        )
        scram += ["--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]"]
    listeners = [Listener("TLS", protocol="SSL"), Listener("LOGIN", protocol="SASL_SSL")]
    with ApacheKafka(properties=properties, listeners=listeners, format_options=scram) as kafka:
        ports = {listener.name: kafka.port(listener.name, 0) for listener in listeners}
        yield SecureBroker(kafka.bootstrap_servers, ports, str(directory))
