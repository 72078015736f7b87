"""Bootstrap lists as people write them: accepted, or refused by a line that says what to write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.environments import refused
from worker.settings.bootstrap import parse_bootstrap_servers
from worker.settings.environment import load


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("a:1", ["a:1"]),
        (" a:1 ,\n b.example.:65535 ", ["a:1", "b.example.:65535"]),
        (",a:1,,", ["a:1"]),
        ("[::1]:9092,127.0.0.1:9092", ["[::1]:9092", "127.0.0.1:9092"]),
        ("broker_1:9092", ["broker_1:9092"]),
    ],
)
def test_accepted(text: str, servers: list[str]) -> None:
    assert parse_bootstrap_servers(text) == servers
    assert load({"KAFKA_BOOTSTRAP_SERVERS": text}).kafka.bootstrap_servers == ",".join(servers)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (",", "names no broker"),
        (" ", "names no broker"),
        ("a", "'a' has no port; write a:9092"),
        ("[::1]", "has no port"),
        ("::1", "write an IPv6 address in brackets"),
        ("a:", "has the port ''; a port is a number from 1 to 65535"),
        (":9092", "has the host ''"),
        ("a:0", "has the port '0'"),
        ("a:99999", "has the port '99999'"),
        ("a:kafka", "has the port 'kafka'"),
        ("a:1;b:2", "contains ';'; write host:port, separated by commas"),
        ("a:1 b:2", "contains ' '"),
        ("'a:1'", "without quotes"),
        ('["a:1"]', "without quotes"),
        ("SASL_SSL://a:1", "write 'a:1', and set the protocol by KAFKA_SECURITY_PROTOCOL"),
        ("good:1,kafka://a:1", "begins with a scheme"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    message = refused(KAFKA_BOOTSTRAP_SERVERS=text)
    assert message.startswith("KAFKA_BOOTSTRAP_SERVERS is ")
    assert expected in message


@given(st.text(alphabet=st.sampled_from("ab1:[],. ;'/-_%\n\u0661")))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        servers = parse_bootstrap_servers(text)
    except ValueError:
        return
    assert parse_bootstrap_servers(",".join(servers)) == servers
    for server in servers:
        assert 0 < int(server.rpartition(":")[2]) < 65536
