"""What Confluent Platform 8 answers and Apicurio Registry does not, in front of Apicurio Registry.

Real: all ids, schemas, versions, references, compatibility checks and errors are Apicurio's. The
proxy's are:

- The field `guid` beside each id, and `GET /schemas/guids/{guid}`, for Confluent's serializers that
  put the schema's GUID into a header. The proxy derives a GUID of an id; Confluent's registry
  derives it of the schema. Clients treat it as 16 opaque bytes.
- `format=serialized` for Protobuf: the Base64 of the file's descriptor, which Confluent's Python
  deserializer asks for. Apicurio answers it with bytes in a JSON text, or with 500 where it has
  stored what Confluent's Python serializer registers.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import base64
import json
import re
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from worker.schema_registry.proto_text import parse_proto

TIMEOUT_SECONDS = 60
_NAMESPACE = uuid.UUID("b6f1f7a4-8f5e-4f3c-9d4c-6a2b7e1d0c35")


def guid_of(schema_id: int) -> uuid.UUID:
    return uuid.uuid5(_NAMESPACE, str(schema_id))


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, registry_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.registry_url = registry_url
        self.ids: dict[str, int] = {}
        """GUID to id, of the ids that the proxy has seen."""

    def answer(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        parts = urlsplit(path)
        schema_id = None
        if by_guid := re.fullmatch(r"/schemas/guids/([0-9a-f-]+)", parts.path):
            schema_id = self.ids.get(by_guid[1])
            if schema_id is None:
                return 404, b'{"error_code": 40403, "message": "Schema not found"}'
            parts = parts._replace(path=f"/schemas/ids/{schema_id}")
        elif by_id := re.fullmatch(r"/schemas/ids/(\d+)", parts.path):
            schema_id = int(by_id[1])
        query = "&".join(each for each in parts.query.split("&") if not each.startswith("format="))
        status, text = self._ask(method, f"{parts.path}?{query}", body)
        found = _object(text)
        schema_id = found.get("id", schema_id)
        if status != 200 or schema_id is None:
            return status, text
        guid = str(guid_of(schema_id))
        self.ids[guid] = schema_id
        found["guid"] = guid
        if parse_qs(parts.query).get("format") == ["serialized"]:
            found["schema"] = _serialized(found)
        return status, json.dumps(found).encode()

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        request = urllib.request.Request(
            self.registry_url + path, body, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError as error:
            return 502, json.dumps({"message": f"the registry does not answer: {error}"}).encode()


def _object(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _serialized(found: dict[str, Any]) -> str:
    text: str = found["schema"]
    if found.get("schemaType") != "PROTOBUF" or re.fullmatch(r"[A-Za-z0-9+/]+=*", text):
        return text
    return base64.b64encode(parse_proto(text, "default").SerializeToString()).decode("ascii")


class _Handler(BaseHTTPRequestHandler):
    server: _Proxy

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes | None) -> None:
        status, text = self.server.answer(self.command, self.path, body)
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def guid_proxy(registry_url: str) -> Iterator[str]:
    """The URL of a proxy in front of the registry."""
    with _Proxy(registry_url) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
