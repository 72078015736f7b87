"""`qa-worker settings --check`: what would stop a worker's start, without starting one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.conftest import Command
from worker.cli.dotenv import read_env_file

GOOD = """\
# A worker of the staging cluster
KAFKA_BOOTSTRAP_SERVERS=kafka-1:9092,kafka-2:9092
export QA_TOP_K = 3   # spans

KAFKA_SECURITY_PROTOCOL="SASL_SSL"
KAFKA_SASL_MECHANISM='SCRAM-SHA-512'
KAFKA_SASL_USERNAME=qa-worker
KAFKA_SASL_PASSWORD="two words # and \\"more\\""
HTTP_PROXY=http://proxy:3128
"""


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / "qa.env"
    path.write_text(GOOD)
    return path


def problems(command: Command, path: Path) -> list[str]:
    done = command("settings", "--check", path)
    assert (done.code, done.err) == (1, "")
    return done.out.splitlines()


def test_valid_env_file(command: Command, env_file: Path) -> None:
    done = command("settings", "--check", env_file)
    assert (done.code, done.out, done.err) == (0, "ok: 6 settings\n", "")
    found, _ = read_env_file(env_file)
    assert found["QA_TOP_K"] == "3"
    assert found["KAFKA_SASL_MECHANISM"] == "SCRAM-SHA-512"
    assert found["KAFKA_SASL_PASSWORD"] == 'two words # and "more"'


def test_env_file_with_a_byte_order_mark(command: Command, env_file: Path) -> None:
    env_file.write_bytes(b"\xef\xbb\xbfQA_TOP_K=3\r\nKAFKA_BOOTSTRAP_SERVERS=kafka:9092\r\n")
    assert command("settings", "--check", env_file).out == "ok: 2 settings\n"


def test_env_file_replaces_the_environment(
    command: Command, env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_TOP_K", "0")
    assert command("settings", "--check", env_file).code == 0
    done = command("settings", "--check")
    assert done.code == 1
    assert done.out.startswith("QA_TOP_K is '0': ")


def test_each_problem_is_one_line(command: Command, env_file: Path) -> None:
    env_file.write_text(
        GOOD
        + "QA_TOPK=3\n"
        + "QA_MAX_PADDING=2\n"
        + "KAFKA_MAX_POLL_RECORDS=soon\n"
        + "KAFKA_SASL_USERNAM=ada\n"
        + "KAFKA_HEAP_OPTS=-Xmx1g\n"
        + "SCHEMA_REGISTRY_URLS=http://127.0.0.1:8081\n"
        + "SCHEMA_REGISTRY_KAFKASTORE_TOPIC=_schemas\n"
        + "SCHEMA_REGISTRY_PORT=tcp://10.0.0.1:8081\n"
        + "QA_TOP_K=4\n"
        + "KAFKA_CLIENT_ID='open\n"
        + "just words\n"
    )
    said = problems(command, env_file)
    begins = [
        "line 18: QA_TOP_K is already set in line 3",
        "line 19 is not KEY=VALUE, or its quotes are not closed",
        "line 20 is not KEY=VALUE, or its quotes are not closed",
        "unknown setting QA_TOPK; did you mean QA_TOP_K?",
        "QA_MAX_PADDING is '2': ",
        "KAFKA_MAX_POLL_RECORDS is 'soon': ",
        "unknown setting KAFKA_SASL_USERNAM; did you mean KAFKA_SASL_USERNAME?",
        "unknown setting SCHEMA_REGISTRY_URLS; did you mean SCHEMA_REGISTRY_URL?",
    ]
    assert len(said) == len(begins)
    for line, begin in zip(said, begins, strict=True):
        assert line.startswith(begin)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS=\n", "KAFKA_BOOTSTRAP_SERVERS is not set"),
        ("KAFKA_SASL_USERNAME=\n", "KAFKA_SECURITY_PROTOCOL=SASL_SSL needs KAFKA_SASL_USERNAME"),
        ("QA_DRAIN_SECONDS=26\nQA_SHUTDOWN_SECONDS=28\n", "QA_DRAIN_SECONDS (26) must be less"),
        ("SCHEMA_REGISTRY_URL=http://u:p@registry\n", "SCHEMA_REGISTRY_URL is 'http://***@re"),
        ("KAFKA_SSL_TRUSTSTORE_LOCATION=/nowhere.pem\n", "KAFKA_SSL_TRUSTSTORE_LOCATION is '/no"),
        (
            "SCHEMA_REGISTRY_URL=https://registry\n"
            "SCHEMA_REGISTRY_SSL_TRUSTSTORE_LOCATION=/nowhere.pem\n",
            "SCHEMA_REGISTRY_SSL_TRUSTSTORE_LOCATION is '/nowhere.pem': No such file",
        ),
        # It starts, but a restart moves its partitions.
        (
            "KAFKA_GROUP_INSTANCE_ID=qa-worker-0\nKAFKA_SESSION_TIMEOUT_MS=29999\n",
            "KAFKA_SESSION_TIMEOUT_MS (29999) should be at least "
            "QA_TERMINATION_GRACE_PERIOD_SECONDS (30) with KAFKA_GROUP_INSTANCE_ID",
        ),
    ],
)
def test_check_reports_what_stops_a_start_or_defeats_a_setting(
    command: Command, env_file: Path, more: str, problem: str
) -> None:
    names = [line.partition("=")[0] for line in more.splitlines()]
    kept = [line for line in GOOD.splitlines() if line.partition("=")[0] not in names]
    env_file.write_text("\n".join([*kept, more]))
    (line,) = problems(command, env_file)
    assert line.startswith(problem)


def test_values_of_invalid_lines_are_not_printed(command: Command, env_file: Path) -> None:
    env_file.write_text("KAFKA_SASL_PASSWORD='hunter2\nhunter2\nKAFKA_SASL_PASSWORD\thunter2\n")
    assert "hunter2" not in command("settings", "--check", env_file).out


def test_missing_env_file(command: Command, tmp_path: Path) -> None:
    done = command("settings", "--check", tmp_path / "no.env")
    assert done.code == 1
    assert "no.env" in done.err


def test_env_file_needs_check(command: Command, env_file: Path) -> None:
    done = command("settings", env_file)
    assert done.code == 2
    assert "--check" in done.err


@given(value=st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"])))
def test_quoted_values_round_trip(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    path = tmp_path_factory.mktemp("env") / "any.env"
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    path.write_text(f'A="{quoted}"\n', encoding="utf-8")
    assert read_env_file(path) == ({"A": value}, [])


def test_check_reports_invalid_tracing_settings(command: Command, env_file: Path) -> None:
    env_file.write_text(GOOD + "QA_TRACING=true\nOTEL_EXPORTER_OTLP_ENDPOINT=collector:4317\n")
    (line,) = problems(command, env_file)
    assert line.startswith("OTEL_EXPORTER_OTLP_ENDPOINT is 'collector:4317': ")


def test_a_static_member_with_a_session_timeout_of_its_grace_period_is_fine(
    command: Command, env_file: Path
) -> None:
    env_file.write_text(
        GOOD + "KAFKA_GROUP_INSTANCE_ID=qa-worker-0\nKAFKA_SESSION_TIMEOUT_MS=30000\n"
    )
    assert command("settings", "--check", env_file).code == 0
