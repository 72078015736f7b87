"""Reading settings from the environment, and refusing values that cannot work."""

from pathlib import Path

import pytest

from tests.environments import SASL, refused
from worker.inference.cpu_quota import available_cores
from worker.inference.options import InferenceOptions
from worker.models.bundle import DEFAULT_NAME
from worker.settings.environment import current, load, variables

# Reading.


def test_an_empty_environment_is_enough() -> None:
    settings = load({})
    assert settings.qa.model == DEFAULT_NAME
    assert settings.kafka.bootstrap_servers is None


def test_every_variable_has_a_description_and_is_listed_once() -> None:
    known = list(variables())
    assert all(variable.meaning for variable in known)
    assert [variable.name for variable in known] == list(current(load({})))
    assert len({variable.name for variable in known}) == len(known)


def test_defaults_are_shown_as_they_are_set() -> None:
    shown = current(load({}))
    for variable in variables():
        if variable.name != "QA_THREADS":  # depends on the machine
            assert shown[variable.name] == variable.default
    again = load({name: value for name, value in shown.items() if name != "QA_MODEL"})
    assert again == load({})


def test_each_variable_sets_its_field() -> None:
    settings = load(
        {
            "QA_MODEL": "/models/large",
            "QA_TOP_K": "3",
            "QA_ALIGN_TO_WORDS": "false",
            "QA_MAX_PADDING": "0.5",
            "QA_LOG_LEVEL": "debug",
            "KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2",
            "KAFKA_SESSION_TIMEOUT_MS": "12000",
        }
    )
    assert settings.qa.model == "/models/large"
    assert (settings.qa.top_k, settings.qa.align_to_words) == (3, False)
    assert (settings.qa.max_padding, settings.qa.log_level) == (0.5, "debug")
    assert settings.kafka.bootstrap_servers == "a:1,b:2"
    assert settings.kafka.session_timeout_ms == 12_000


def test_current_shows_the_values_that_were_set() -> None:
    shown = current(load({"QA_TOP_K": "3", "QA_NO_ANSWER": "yes", "QA_MODEL": "/m"}))
    assert (shown["QA_TOP_K"], shown["QA_NO_ANSWER"], shown["QA_MODEL"]) == ("3", "true", "/m")


def test_an_empty_variable_is_an_unset_one() -> None:
    empty = {variable.name: "" for variable in variables()}
    assert load({**empty, "KAFKA_SASL_PASSWORD_FILE": ""}) == load({})


def test_the_engine_gets_its_options_and_no_other_setting() -> None:
    settings = load({"QA_THREADS": "3", "QA_DOC_STRIDE": "7", "QA_LOG_LEVEL": "debug"})
    assert settings.qa.inference == InferenceOptions(threads=3, doc_stride=7)
    assert type(settings.qa.inference) is InferenceOptions


def test_by_default_all_cores_of_the_quota_run_the_model() -> None:
    assert load({}).qa.inference.threads == available_cores()


def test_the_process_environment_is_the_default_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QA_TOP_K", "4")
    assert load().qa.top_k == 4


# Unknown variables.


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("QA_TOPK", "QA_TOP_K"),
        ("QA_MAX_ANSWER_LENGTH", "QA_MAX_ANSWER_TOKENS"),
        ("QA_THREAD", "QA_THREADS"),
        ("QA_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS"),
        ("QA_", "QA_"),
    ],
)
def test_an_unknown_variable_suggests_the_nearest_name(wrong: str, near: str) -> None:
    message = refused(**{wrong: "1"})
    assert message.startswith(f"unknown setting {wrong}; did you mean {near}")


def test_an_empty_unknown_variable_is_refused() -> None:
    assert "QA_TOPK" in refused(QA_TOPK="")


@pytest.mark.parametrize(
    "name",
    [
        "QA_WORKER_SERVICE_HOST",
        "QA_WORKER_SERVICE_PORT",
        "QA_WORKER_SERVICE_PORT_METRICS",
        "QA_WORKER_PORT",
        "QA_WORKER_PORT_8080_TCP",
        "QA_WORKER_PORT_8080_TCP_ADDR",
        "QA_WORKER_PORT_53_UDP_PROTO",
        "QA_SERVICE_HOST",
        "QA_PORT",
    ],
)
def test_kubernetes_service_links_are_ignored(name: str) -> None:
    assert load({name: "tcp://10.0.0.1:80"}) == load({})


def test_a_misspelled_port_is_not_taken_for_a_service_link() -> None:
    assert "unknown setting QA_HTPP_PORT; did you mean QA_HTTP_PORT?" in refused(
        QA_HTPP_PORT="9000"
    )


def test_variables_without_our_prefix_are_ignored() -> None:
    assert load({"PATH": "/bin", "KAFKA_HEAP_OPTS": "-Xmx1g", "QAX": "1"}) == load({})


# Single values.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QA_TOP_K", "three"),
        ("QA_TOP_K", "0"),
        ("QA_TOP_K", "1.5"),
        ("QA_MAX_PADDING", "1"),
        ("QA_MAX_PADDING", "nan"),
        ("QA_MAX_TOKENS", "31"),
        ("QA_ALIGN_TO_WORDS", "perhaps"),
        ("QA_HTTP_PORT", "65536"),
        ("QA_DRAIN_SECONDS", "0"),
        ("QA_DRAIN_SECONDS", "nan"),
        ("QA_LOG_LEVEL", "loud"),
        ("QA_DELIVERY", "at_most_once"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("KAFKA_MAX_POLL_RECORDS", "-1"),
        ("KAFKA_COMPRESSION_TYPE", "brotli"),
    ],
)
def test_an_invalid_value_is_named_with_its_variable(name: str, value: str) -> None:
    assert refused(**{name: value}).startswith(f"{name} is '{value}': ")


@pytest.mark.parametrize("missing", ["KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"])
@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_sasl_needs_a_username_and_a_password(missing: str, protocol: str) -> None:
    environment = {**SASL, "KAFKA_SECURITY_PROTOCOL": protocol, missing: ""}
    assert refused(**environment).startswith(f"KAFKA_SECURITY_PROTOCOL={protocol} needs")


# The console.


def test_the_console_needs_a_long_token() -> None:
    needed = "QA_CONSOLE needs QA_CONSOLE_TOKEN (or QA_CONSOLE_TOKEN_FILE) of 16 characters"
    assert refused(QA_CONSOLE="true").startswith(needed)
    short = refused(QA_CONSOLE="true", QA_CONSOLE_TOKEN="fifteen-letters")
    assert short.startswith(needed)
    assert "fifteen-letters" not in short
    assert load({"QA_CONSOLE": "true", "QA_CONSOLE_TOKEN": "sixteen--letters"}).qa.console
    assert not load({"QA_CONSOLE_TOKEN": "short"}).qa.console


def test_the_console_token_may_come_from_a_file_and_is_hidden(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a-token-from-a-file\n")
    settings = load({"QA_CONSOLE": "true", "QA_CONSOLE_TOKEN_FILE": str(file)})
    assert settings.qa.console_token is not None
    assert settings.qa.console_token.get_secret_value() == "a-token-from-a-file"
    assert "a-token-from-a-file" not in f"{settings}{current(settings)}"


def test_a_file_variable_of_a_non_secret_is_unknown() -> None:
    assert refused(QA_CONSOLE_FILE="x").startswith("unknown setting QA_CONSOLE_FILE")


@pytest.mark.parametrize(
    "origin", ["*", "null", "qa.example.org", "https://", "https://qa.example.org/", "ftp://a"]
)
def test_console_origins_are_scheme_and_host(origin: str) -> None:
    assert "is not an origin" in refused(QA_CONSOLE_ORIGINS=f"https://a.example:8443,{origin}")
    both = load({"QA_CONSOLE_ORIGINS": "https://a.example:8443, http://b.example"})
    assert both.qa.console_origins == ("https://a.example:8443", "http://b.example")


@pytest.mark.parametrize(
    ("text", "value"), [("auto", "auto"), ("yes", True), ("1", True), ("false", False)]
)
def test_no_answer_has_three_values(text: str, value: object) -> None:
    assert load({"QA_NO_ANSWER": text}).qa.no_answer == value


def test_a_wrong_no_answer_is_one_line() -> None:
    assert refused(QA_NO_ANSWER="maybe") == (
        "QA_NO_ANSWER is 'maybe': Input should be true, false or auto"
    )


@pytest.mark.parametrize("name", ["RoundRobinAssignor", "RangeAssignor", "StickyAssignor"])
def test_an_assignor_may_have_the_name_of_its_java_class(name: str) -> None:
    variable = "KAFKA_PARTITION_ASSIGNMENT_STRATEGY"
    kafka = load({variable: f"org.apache.kafka.clients.consumer.{name}"}).kafka
    assert kafka.partition_assignment_strategy == name.removesuffix("Assignor").lower()
    assert f"{variable} is 'org.example.Mine': " in refused(**{variable: "org.example.Mine"})
