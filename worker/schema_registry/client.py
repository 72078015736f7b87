"""Requests to a schema registry: Confluent's REST API, which Apicurio, Redpanda, Karapace and
others also have.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import UUID

import aiohttp

from worker.schema_registry.decoding import (
    MAX_REFERENCES,
    MAX_SCHEMA_BYTES,
    RegisteredSchema,
    UnusableSchemaError,
)
from worker.schema_registry.framing import SchemaRef
from worker.schema_registry.login import Login, ReadLogin
from worker.schema_registry.responses import (
    NoSuchPathError,
    RegistryRefusesError,
    RegistryUnavailableError,
    UnknownSchemaError,
    combined,
    error_code,
    error_message,
    parse_object,
    references,
    schema_id,
    schema_kind,
    schema_text,
)
from worker.settings import SettingsError

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_MAX_RESPONSE_BYTES = 2 * MAX_SCHEMA_BYTES + 64 * 1024
"""A schema is a text within JSON, where quotes are escaped."""

_NO_ID = 2**31 - 1
"""An id that no schema has: registries count from 1 on."""

_REFUSALS = 301, 302, 307, 308, 400, 401, 403, 405


class RegistryClient:
    """An asynchronous context manager around one session of HTTP connections."""

    def __init__(
        self,
        urls: tuple[str, ...],
        *,
        timeout_seconds: float,
        read_login: ReadLogin = Login,
    ) -> None:
        """`read_login` is called at the start, and when a registry refuses the login."""
        self._urls = urls
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._read_login = read_login
        self._login = Login()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Raises `SettingsError`."""
        self._login = await asyncio.to_thread(self._read_login)
        # Neither proxy variables nor a netrc file are read: a registry is within the network, and
        # its credentials are those of the settings.
        self._session = aiohttp.ClientSession(
            headers={"Accept": f"{_MEDIA_TYPE}, application/json"},
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def schema(self, ref: SchemaRef) -> RegisteredSchema:
        """The schema with this id or GUID, with all schemas that it refers to.

        Raises `UnknownSchemaError`, `UnusableSchemaError` and `RegistryUnavailableError`.
        """
        if isinstance(ref, UUID):
            found = await self._find_guid(ref)
        else:
            found = await self._get(f"schemas/ids/{ref}")
        kind, text = schema_kind(found), schema_text(found)
        referred: dict[str, str] = {}
        await self._add_references(found, referred, [len(text)], ())
        return RegisteredSchema(kind, text, referred)

    async def _find_guid(self, guid: UUID) -> dict[str, Any]:
        try:
            return await self._get(f"schemas/guids/{guid}")
        except NoSuchPathError:
            # Apicurio, and Confluent's before 8.0, have no GUIDs. Any value may look like one: it
            # must not hold up its partition for ever.
            await self.check()
            raise UnknownSchemaError("the registry has no schemas by GUID") from None

    async def check(self) -> None:
        """Ask for a schema that does not exist: what reads the others works.

        Raises `RegistryRefusesError`, and `RegistryUnavailableError`.
        """
        with contextlib.suppress(UnknownSchemaError, UnusableSchemaError):
            await self._get(f"schemas/ids/{_NO_ID}")

    async def latest_kind(self, subject: str) -> str:
        """The type of the subject's latest schema: AVRO, JSON or PROTOBUF. Raises as `schema`."""
        return schema_kind(await self._get(f"subjects/{_path(subject)}/versions/latest"))

    async def find(
        self, subject: str, schema_type: str, text: str, *, normalize: bool = False
    ) -> int:
        """The id of a schema that is registered under the subject. Raises as `schema`.

        `normalize`: the registry has the schema in its normal form (order, white space).
        """
        query = "?normalize=true" if normalize else ""
        return schema_id(await self._post(f"subjects/{_path(subject)}{query}", schema_type, text))

    async def register(self, subject: str, schema_type: str, text: str) -> int:
        """Register a schema under the subject, unless it is, and return its id.

        Raises as `schema`: `UnusableSchemaError` if it is not compatible with the subject's.
        """
        return schema_id(await self._post(f"subjects/{_path(subject)}/versions", schema_type, text))

    async def _add_references(
        self,
        schema: Mapping[str, Any],
        found: dict[str, str],
        sizes: list[int],
        path: tuple[str, ...],
    ) -> None:
        """Add the schemas that one refers to, each behind those that it refers to itself."""
        for reference in references(schema):
            name = reference.name
            if name in path:
                raise UnusableSchemaError(f"the schema {name} refers to itself")
            if name in found:
                continue
            if len(sizes) > MAX_REFERENCES:
                raise UnusableSchemaError(f"more than {MAX_REFERENCES} referred schemas")
            # Also a deleted one: records that were written with it are still there.
            referred = await self._get(
                f"subjects/{_path(reference.subject)}/versions/{reference.version}?deleted=true"
            )
            text = schema_text(referred)
            sizes.append(len(text))
            if sum(sizes) > MAX_SCHEMA_BYTES:
                raise UnusableSchemaError(
                    f"the schema and those that it refers to have more than {MAX_SCHEMA_BYTES} "
                    f"characters"
                )
            await self._add_references(referred, found, sizes, (*path, name))
            found[name] = text

    async def _get(self, path: str) -> dict[str, Any]:
        return await self._request("GET", path, None)

    async def _post(self, path: str, schema_type: str, text: str) -> dict[str, Any]:
        return await self._request("POST", path, {"schemaType": schema_type, "schema": text})

    async def _request(self, method: str, path: str, body: Any) -> dict[str, Any]:
        """The answer of the first registry that gives one."""
        errors: list[RegistryUnavailableError] = []
        for url in self._urls:
            try:
                return await self._request_to(f"{url}/{path}", method, body)
            except RegistryUnavailableError as error:
                errors.append(type(error)(f"{url} {error}"))
        raise combined(errors)

    async def _request_to(self, url: str, method: str, body: Any) -> dict[str, Any]:
        data = None if body is None else json.dumps(body)
        status, text = await self._send(url, method, data)
        if status == 401 and await self._renew_login():
            status, text = await self._send(url, method, data)
        if status == 200:
            return parse_object(text)
        message = error_message(text)
        if status == 404:
            if error_code(text) // 100 == 404:
                raise UnknownSchemaError(message)
            raise NoSuchPathError(
                f"answers 404 {message}".rstrip() + ": no schema registry answers under this path"
            )
        if status in (409, 422):
            raise UnusableSchemaError(message)
        if status in _REFUSALS:
            raise RegistryRefusesError(f"answers {status} {message}".rstrip())
        raise RegistryUnavailableError(f"answers {status} {message}".rstrip())

    async def _send(self, url: str, method: str, data: str | None) -> tuple[int, bytes]:
        assert self._session is not None  # within the context manager
        headers = dict(self._login.headers)
        if data is not None:
            headers["Content-Type"] = _MEDIA_TYPE
        try:
            # A redirect would send the credentials to another server.
            async with self._session.request(
                method,
                url,
                data=data,
                headers=headers,
                allow_redirects=False,
                ssl=self._login.ssl_context or True,
            ) as response:
                return response.status, await _read(response)
        except aiohttp.ClientSSLError as error:
            await self._renew_login()
            raise RegistryRefusesError(f"cannot be reached by TLS: {error.os_error}") from None
        except TimeoutError:
            raise RegistryUnavailableError(
                f"does not answer within {self._timeout.total:g} s"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error.__cause__, ssl.SSLError):  # it wants a client's certificate
                await self._renew_login()
                raise RegistryRefusesError(f"closes the TLS connection: {reason}") from None
            raise RegistryUnavailableError(f"does not answer: {reason}") from None

    async def _renew_login(self) -> bool:
        """Read credentials and certificates again, for the next request: they may have been
        renewed. Whether the credentials have changed.
        """
        before = self._login.headers
        try:
            self._login = await asyncio.to_thread(self._read_login)
        except SettingsError as error:
            raise RegistryUnavailableError(f"cannot be logged in to: {error}") from None
        return self._login.headers != before


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > _MAX_RESPONSE_BYTES:
            if response.status != 200:  # which says nothing about the schema
                break
            raise UnusableSchemaError(f"a response of more than {_MAX_RESPONSE_BYTES} bytes")
    return bytes(body)


def _path(subject: str) -> str:
    return quote(subject, safe="")
