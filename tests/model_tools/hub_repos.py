"""What a hub holds, who may read it, what goes wrong with it, and what it was asked."""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

MEMBER, STRANGER = "hf_member", "hf_stranger"
"""Tokens that the hub knows: one with access to everything, one with access to what is open."""


@dataclass
class Commit:
    """Files by their names."""

    files: Mapping[str, bytes]

    @property
    def sha(self) -> str:
        digest = hashlib.sha1(usedforsecurity=False)
        for name, content in sorted(self.files.items()):
            digest.update(name.encode() + content)
        return digest.hexdigest()


@dataclass
class Repo:
    """Branches, and who may read: everybody, those let in (gated), or members (private)."""

    branches: dict[str, Commit]
    gated: bool = False
    private: bool = False

    def at(self, revision: str) -> Commit | None:
        by_sha = {commit.sha: commit for commit in self.branches.values()}
        return self.branches.get(revision) or by_sha.get(revision)


@dataclass
class Hold:
    """A body that pauses after `after` bytes until the test releases it."""

    after: int
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


@dataclass
class Faults:
    """By the name of the file. A fault happens once, so that the next try succeeds."""

    cut_after: dict[str, int] = field(default_factory=dict)
    """Bytes of the body, after which the connection is closed."""
    corrupt: set[str] = field(default_factory=set)
    """The last byte becomes `corrupt_with`."""
    corrupt_with: bytes = b"\xff"
    shorten: set[str] = field(default_factory=set)
    """The last byte is missing, and Content-Length says so."""
    hold: dict[str, Hold] = field(default_factory=dict)
    xet: bool = False
    """Large files are listed in Xet's storage, which refuses every request; stays."""
    status: HTTPStatus | None = None
    """What the hub answers to everything; stays."""
    move: tuple[str, Commit] | None = None
    """A branch and its new commit, pushed once the model was listed."""


@dataclass(frozen=True)
class Request:
    """What the client sent."""

    origin: str
    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("range")

    @property
    def has_token(self) -> bool:
        return "authorization" in self.headers
