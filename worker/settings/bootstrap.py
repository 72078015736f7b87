"""Parses `KAFKA_BOOTSTRAP_SERVERS`. Pure."""

import re

_EXAMPLE = "write host:port, separated by commas"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+._-]*)://")
_IPV6 = re.compile(r"\[([0-9A-Fa-f:.]+(?:%\w+)?)\]")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?")


def parse_bootstrap_servers(text: str) -> list[str]:
    """Returns the servers as `host:port`, an IPv6 address in brackets.

    Ignores spaces around a server, and empty elements, as the Java client does. Raises
    `ValueError` with one line that names the element and says what to write.
    """
    servers = [server.strip() for server in text.split(",")]
    servers = [server for server in servers if server]
    if not servers:
        raise ValueError(f"names no broker; {_EXAMPLE}")
    for server in servers:
        _check(server)
    return servers


def _check(server: str) -> None:
    shown = repr(server)
    if scheme := _SCHEME.match(server):
        raise ValueError(
            f"{shown} begins with a scheme; write {server[scheme.end() :]!r}, and set the protocol "
            f"by KAFKA_SECURITY_PROTOCOL"
        )
    if found := re.search(r"[\s;|]", server):
        raise ValueError(f"{shown} contains {found.group()!r}; {_EXAMPLE}")
    if found := re.search(r"[\"'`]", server):
        raise ValueError(f"{shown} contains {found.group()!r}; {_EXAMPLE}, without quotes")
    host, colon, port = server.rpartition(":")
    if not colon or server.endswith("]"):
        raise ValueError(f"{shown} has no port; write {server}:9092, for example")
    if not (_IPV6.fullmatch(host) or _HOST.fullmatch(host)):
        hint = "; write an IPv6 address in brackets, [::1]:9092" if ":" in host else ""
        raise ValueError(f"{shown} has the host {host!r}, which is not a host name{hint}")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{shown} has the port {port!r}; a port is a number from 1 to 65535")
