"""Certificates, passwords and addresses that change while the worker runs, on Apache Kafka.

Open connections would outlive a rotation: the broker is restarted, or a proxy resets them.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.brokers.apache import ApacheKafka, Listener
from tests.brokers.certificates import Authority
from tests.faults.proxy import Proxy
from tests.security.scram import set_password
from tests.streaming.conftest import RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.diagnostics import find_connection_error
from worker.kafka.errors import StreamingError
from worker.kafka.kafka_node import free_ports
from worker.settings.environment import load
from worker.streaming import session, silence, watchdog

pytestmark = [pytest.mark.broker, pytest.mark.process, pytest.mark.tools]

USER, FIRST, SECOND = "qa-worker", "s3cret-first", "s3cret-second"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


@dataclass(frozen=True, slots=True)
class Rotating:
    """A broker, and what may change about it."""

    kafka: ApacheKafka
    directory: Path
    authorities: list[Authority]
    """The first has signed the broker's certificate."""
    keystores: list[Path]
    """By each of the authorities."""
    login_port: int
    """The advertised port of the listener for logins, on which a proxy has to listen."""
    bootstrap_port: int
    advertised_ports: tuple[int, int]
    """The first is advertised."""

    @property
    def truststore(self) -> Path:
        return self.directory / "trusted.pem"

    def rotate(self) -> None:
        """The other authority signs the broker's certificate from its next start on."""
        self.authorities.reverse()
        self.keystores.reverse()
        self.use_keystore()

    def use_keystore(self) -> None:
        shutil.copy(self.keystores[0], self.directory / "rotating.pem")


@pytest.fixture(scope="module")
def rotating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rotating]:
    directory = tmp_path_factory.mktemp("rotating")
    authorities = [Authority(directory, name) for name in ("old", "new")]
    keystores = [each.keystore(f"by-{n}", host="127.0.0.1") for n, each in enumerate(authorities)]
    login, bootstrap, first, second = free_ports(4)
    listeners = [
        Listener("TLS", protocol="SSL"),
        Listener("LOGIN", [login], protocol="SASL_PLAINTEXT"),
        Listener("MOVING", [first]),
    ]
    properties = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(directory / "rotating.pem"),
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.login.scram-sha-512.sasl.jaas.config": _SCRAM,
    }
    password = ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={FIRST}]"]
    kafka = ApacheKafka(properties=properties, listeners=listeners, format_options=password)
    rotating = Rotating(kafka, directory, authorities, keystores, login, bootstrap, (first, second))
    rotating.use_keystore()
    with kafka:
        yield rotating


@pytest.fixture
async def login(rotating: Rotating) -> AsyncIterator[Proxy]:
    """The connections of workers to the listener for logins."""
    proxy = Proxy(rotating.login_port)
    proxy.target = rotating.kafka.port("LOGIN", 0)
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture
async def topics(rotating: Rotating) -> AsyncIterator[Topics]:
    short = {"KAFKA_SESSION_TIMEOUT_MS": "1500"}
    async with Topics(rotating.kafka.bootstrap_servers, short) as topics:
        await topics.create()
        yield topics


@pytest.fixture(autouse=True)
def _short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "SILENCE_SECONDS", 2.0)
    monkeypatch.setattr(watchdog, "CHECK_SECONDS", 0.5)
    monkeypatch.setattr(session, "CLOSE_SECONDS", 0.5)


@asynccontextmanager
async def at_work(topics: Topics, environment: dict[str, str]) -> AsyncIterator[RunningWorker]:
    """A worker that has answered four questions. It reads its settings as `qa-worker run` does."""
    environment = {**topics.environment, **environment}
    worker = RunningWorker(load(environment), StubEngine(), read_settings=lambda: load(environment))
    try:
        await worker.ready()
        await topics.send([event(n) for n in range(4)])
        await until(lambda: topics.has(4), "four questions are answered")
        yield worker
    finally:
        worker.stop.set()
        await asyncio.wait([worker.task])


async def reset(proxy: Proxy) -> None:
    """Closes the connections, as a restarted broker does."""
    assert proxy.connections
    proxy.cut()
    await proxy.restore()


async def goes_on(topics: Topics, worker: RunningWorker) -> None:
    await topics.send([event(n) for n in range(4, 8)])
    await until(lambda: _has_or_ended(topics, worker), "four more questions are answered")
    worker.stop.set()
    await worker.task
    assert sorted(await topics.ids()) == [f"q-{n}" for n in range(8)]


async def _has_or_ended(topics: Topics, worker: RunningWorker) -> bool:
    return worker.task.done() or await topics.has(8)


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
async def test_a_rotated_certificate_authority_needs_no_restart(
    rotating: Rotating, topics: Topics, delivery: str
) -> None:
    rotating.truststore.write_bytes(rotating.authorities[0].certificate.read_bytes())
    environment = {
        "QA_DELIVERY": delivery,
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{rotating.kafka.port('TLS', 0)}",
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_SSL_TRUSTSTORE_LOCATION": str(rotating.truststore),
    }
    async with at_work(topics, environment) as worker:
        rotating.rotate()
        with capture_logs() as logs:
            await asyncio.to_thread(rotating.kafka.terminate)
            await asyncio.to_thread(rotating.kafka.restart)
            named = lambda: any(  # noqa: E731
                each["event"] == "new_connection_failed"
                and "certificate verify failed" in each["error"]
                and "KAFKA_SSL_TRUSTSTORE_LOCATION" in each["error"]
                for each in logs
            )
            await until(named, "the log names the refused certificate")
        both = [each.certificate.read_bytes() for each in rotating.authorities]
        rotating.truststore.write_bytes(b"".join(both))
        await goes_on(topics, worker)


async def test_a_changed_password_in_a_file_needs_no_restart(
    rotating: Rotating, login: Proxy, topics: Topics, tmp_path: Path
) -> None:
    await _set_password(rotating, FIRST)
    password = tmp_path / "password"
    password.write_text(FIRST)
    environment = {**_login(rotating), "KAFKA_SASL_PASSWORD_FILE": str(password)}
    async with at_work(topics, environment) as worker:
        await _set_password(rotating, SECOND)
        password.write_text(SECOND)
        await reset(login)
        await goes_on(topics, worker)


async def test_a_refused_password_ends_the_worker_and_is_named(
    rotating: Rotating, login: Proxy, topics: Topics
) -> None:
    await _set_password(rotating, FIRST)
    environment = {**_login(rotating), "KAFKA_SASL_PASSWORD": FIRST}
    async with at_work(topics, environment) as worker:
        await _set_password(rotating, SECOND)
        await reset(login)
        await until(worker.task.done, "the worker ends")
        with pytest.raises(StreamingError, match=r"rejects the login \(SASL_PLAINTEXT, SCRAM-SHA"):
            await worker.task


async def test_brokers_at_new_addresses_need_no_restart(rotating: Rotating, topics: Topics) -> None:
    first_port, second_port = rotating.advertised_ports
    bootstrap, first, second = (
        Proxy(port) for port in (rotating.bootstrap_port, first_port, second_port)
    )
    for proxy in (bootstrap, first, second):
        proxy.target = rotating.kafka.port("MOVING", 0)
    await bootstrap.start()
    await first.start()
    environment = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{rotating.bootstrap_port}"}
    try:
        async with at_work(topics, environment) as worker:
            await asyncio.to_thread(rotating.kafka.terminate)
            await first.stop()
            rotating.kafka.advertise("MOVING", second_port)
            await second.start()
            await asyncio.to_thread(rotating.kafka.restart)
            await goes_on(topics, worker)
    finally:
        for proxy in (bootstrap, first, second):
            await proxy.stop()


async def _set_password(rotating: Rotating, password: str) -> None:
    """Returns once the broker has applied it."""
    await set_password(rotating.kafka.bootstrap_servers, USER, password)
    kafka = load({**_login(rotating), "KAFKA_SASL_PASSWORD": password}).kafka

    async def accepted() -> bool:
        return await find_connection_error(kafka) is None

    await until(accepted, "the broker accepts the password")


def _login(rotating: Rotating) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{rotating.login_port}",
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": USER,
    }
