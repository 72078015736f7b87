"""A hub on this machine: the paths, headers and errors that the real client meets, and faults.

Two HTTP servers, as in life: the hub itself, and another origin that large files are redirected to,
which must never see a token. Xet is announced only where a test wants it; else the client uses
plain HTTP.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.model_tools.hub_files import LARGE_FILES, git_blob_id, sha256, tree_entry
from tests.model_tools.hub_repos import MEMBER, STRANGER, Commit, Faults, Hold, Repo, Request

_XET_TOKEN = "/api/xet-token"
_TREE = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)")
_API = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(?:/revision/(?P<revision>[^/]+))?")
_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")


class HubServer:
    """`repos` by id; `requests` in the order of their arrival."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[Request] = []
        self.faults = Faults()
        self.held: list[Hold] = []
        self._hub = _serve(self, _HubHandler)
        self._storage = _serve(self, _StorageHandler)

    @property
    def url(self) -> str:
        return _url(self._hub)

    @property
    def storage_url(self) -> str:
        return _url(self._storage)

    def put(self, repo: str, files: Mapping[str, bytes], *, branch: str = "main") -> Commit:
        commit = Commit(dict(files))
        self.repos.setdefault(repo, Repo({})).branches[branch] = commit
        return commit

    def asked_for(self, name: str, method: str = "GET") -> list[Request]:
        """The requests for a file's content, at the hub or at the storage."""
        return [
            request
            for request in self.requests
            if request.method == method
            and unquote(urlsplit(request.path).path).endswith(f"/{name}")
        ]

    def close(self) -> None:
        for hold in self.held:
            hold.released.set()
        for server in (self._hub, self._storage):
            server.shutdown()
            server.server_close()


@contextmanager
def hub_server() -> Iterator[HubServer]:
    server = HubServer()
    try:
        yield server
    finally:
        server.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: HubServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed leaves a broken pipe; that is not the test's concern."""


def _serve(hub: HubServer, handler: type["_Handler"]) -> _Server:
    server = _Server(("127.0.0.1", 0), handler)
    server.hub = hub
    # Short, as shutdown waits for it.
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def _url(server: _Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    origin: str

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Tests read `requests`."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.requests.append(Request(self.origin, self.command, self.path, headers))
        self.answer()

    def answer(self) -> None:
        raise NotImplementedError

    @property
    def hub(self) -> HubServer:
        return self.server.hub

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _json(self, document: object) -> None:
        body = json.dumps(document).encode()
        self._head(HTTPStatus.OK, len(body), {"Content-Type": "application/json"})
        self.wfile.write(body)

    def _refuse(self, status: int, code: str = "", message: str = "") -> None:
        body = json.dumps({"error": message}).encode() if self.command == "GET" else b""
        headers = {"X-Error-Code": code} if code else {}
        self._head(status, len(body), {**headers, "X-Error-Message": message})
        self.wfile.write(body)

    def _send(self, name: str, content: bytes, headers: Mapping[str, str]) -> None:
        """A file's body, or the part of it that a Range asks for, with the faults set for it."""
        faults = self.hub.faults
        first = 0
        if asked := self.headers.get("Range"):
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
        if self.command == "GET" and name in faults.corrupt:
            faults.corrupt.remove(name)
            content = content[:-1] + faults.corrupt_with
        if self.command == "GET" and name in faults.shorten:
            faults.shorten.remove(name)
            content = content[:-1]
        part = content[first:]
        span = (
            {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"} if asked else {}
        )
        status = HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK
        self._head(status, len(part), {**headers, **span, "Accept-Ranges": "bytes"})
        if self.command == "HEAD":
            return
        if name in faults.cut_after:
            self.wfile.write(part[: faults.cut_after.pop(name)])
            self.close_connection = True
            return
        if hold := faults.hold.pop(name, None):
            self.hub.held.append(hold)
            self.wfile.write(part[: hold.after])
            self.wfile.flush()
            hold.reached.set()
            hold.released.wait()
            part = part[hold.after :]
        self.wfile.write(part)


class _HubHandler(_Handler):
    origin = "hub"

    def answer(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.hub.faults.status:
            self._refuse(self.hub.faults.status)
        elif token not in ("", MEMBER, STRANGER):
            message = "Invalid credentials in Authorization header"
            self._refuse(HTTPStatus.UNAUTHORIZED, message=message)
        elif self.path == _XET_TOKEN:
            self._xet_token()
        elif match := _TREE.fullmatch(urlsplit(self.path).path):
            self._tree(token, match["repo"], unquote(match["revision"]))
        elif match := _API.fullmatch(urlsplit(self.path).path):
            self._info(token, match["repo"], unquote(match["revision"] or "main"))
        elif match := _FILE.fullmatch(urlsplit(self.path).path):
            name, revision = unquote(match["name"]), unquote(match["revision"])
            self._file(token, match["repo"], revision, name)
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def _xet_token(self) -> None:
        headers = {
            "X-Xet-Cas-Url": self.hub.storage_url,
            "X-Xet-Access-Token": "xet",
            "X-Xet-Token-Expiration": str(2**40),
        }
        self._head(HTTPStatus.OK, 0, headers)

    def _find(self, token: str, name: str, revision: str) -> tuple[Repo, Commit] | None:
        """Answers itself, and gives nothing, where the asker gets nothing."""
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and token != MEMBER):
            status = HTTPStatus.NOT_FOUND if token else HTTPStatus.UNAUTHORIZED
            self._refuse(status, "RepoNotFound", "Repository not found")
            return None
        commit = repo.at(revision)
        if commit is None:
            self._refuse(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return repo, commit

    def _info(self, token: str, name: str, revision: str) -> None:
        found = self._find(token, name, revision)
        if not found:
            return
        repo, commit = found
        self._json(
            {
                "id": name,
                "sha": commit.sha,
                "private": repo.private,
                "gated": "manual" if repo.gated else False,
                "siblings": [{"rfilename": file} for file in commit.files],
            }
        )
        if self.hub.faults.move:
            branch, new = self.hub.faults.move
            repo.branches[branch] = new

    def _tree(self, token: str, name: str, revision: str) -> None:
        if found := self._find(token, name, revision):
            self._json([tree_entry(file, content) for file, content in found[1].files.items()])

    def _file(self, token: str, name: str, revision: str, file: str) -> None:
        found = self._find(token, name, revision)
        if not found:
            return
        repo, commit = found
        if repo.gated and token != MEMBER:
            status = HTTPStatus.FORBIDDEN if token else HTTPStatus.UNAUTHORIZED
            self._refuse(status, "GatedRepo", f"Access to model {name} is restricted.")
            return
        content = commit.files.get(file)
        if content is None:
            self._refuse(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found")
        elif file.endswith(LARGE_FILES):
            headers = {
                "X-Repo-Commit": commit.sha,
                "X-Linked-Size": str(len(content)),
                "X-Linked-Etag": f'"{sha256(content)}"',
                "Location": f"{self.hub.storage_url}/{name}/{commit.sha}/{file}?signature=s",
            }
            if self.hub.faults.xet:
                headers["X-Xet-Hash"] = sha256(content)
                headers["X-Xet-Refresh-Route"] = self.hub.url + _XET_TOKEN
            self._head(HTTPStatus.FOUND, 0, headers)
        else:
            etag = {"ETag": f'"{git_blob_id(content)}"', "X-Repo-Commit": commit.sha}
            self._send(file, content, etag)


class _StorageHandler(_Handler):
    origin = "storage"

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        owner, name, commit, file = path.lstrip("/").split("/", 3)
        if self.headers.get("Authorization"):
            self._refuse(HTTPStatus.UNAUTHORIZED, message="a signature is enough")
            return
        found = self.hub.repos[f"{owner}/{name}"].at(commit)
        assert found is not None
        self._send(file, found.files[file], {"ETag": f'"{sha256(found.files[file])}"'})
