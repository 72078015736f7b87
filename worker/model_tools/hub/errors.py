"""What can go wrong with the hub, each in a line that says what to do.

Knows the errors of the client and of the HTTP library below it.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)

from worker.models.bundle import BundleError


class HubError(BundleError):
    """A model could not be fetched."""


class NoSuchRepoError(HubError):
    """The hub has no such repository, or does not show it to this user."""


class NoSuchRevisionError(HubError):
    """The repository has no such branch, tag, commit or pull request."""


class AccessRefusedError(HubError):
    """A gated repository, or a token that is not good enough."""


class HubUnreachableError(HubError):
    """No answer, or none that a hub gives."""


class NotCachedError(HubError):
    """Offline, and the cache does not have it."""


class FileMismatchError(HubError):
    """A file is not the one that the hub announced."""


class RepoMovedError(HubError):
    """The files would be of two commits."""


class DiskFullError(HubError):
    """No space for the client's cache."""


_CLIENTS = (HFValidationError, RevisionResolutionError, httpx2.HTTPError, httpx2.InvalidURL)
"""What the client and the HTTP library raise that is no `OSError`."""

_ACCESS = "give a token that may read it: HF_TOKEN, or `hf auth login`"
_SIZE_CHECK = "Consistency check failed"
"""How the client's message begins where a download has the wrong length; it has no type for it."""


@dataclass(frozen=True, slots=True)
class HubRequest:
    """What was asked for, of whom, and into which cache."""

    repo: str
    revision: str
    endpoint: str
    cache: Path


@contextmanager
def translate_hub_errors(asked: HubRequest, *, offline: bool) -> Iterator[None]:
    """What the client raises in the block becomes a `HubError`; what is not its own passes."""
    try:
        yield
    except (*_CLIENTS, OSError, RuntimeError) as error:
        explained = _from_response(error, asked) or _from_transport(error, asked, offline=offline)
        if explained is None:
            raise
        raise explained from error


def _from_response(error: Exception, asked: HubRequest) -> HubError | None:
    """The hub said no. From the particular to the general: these inherit from each other."""
    repo = asked.repo
    match error:
        case GatedRepoError():
            return AccessRefusedError(
                f"{repo} is gated: ask for access on its page, then {_ACCESS}"
            )
        case RepositoryNotFoundError():
            return NoSuchRepoError(f"{repo}: the hub has no such repo, or it is private: {_ACCESS}")
        case RevisionNotFoundError():
            return NoSuchRevisionError(f"{repo} has no revision {asked.revision!r}")
        case HFValidationError():
            return NoSuchRepoError(f"{repo!r} is no repo id; they look like owner/name")
        case HfHubHTTPError(response=response) if response.status_code in (401, 403):
            said = _line(error.server_message or response.reason_phrase)
            return AccessRefusedError(f"{repo}: the hub refuses ({said}); {_ACCESS}")
        case HfHubHTTPError(response=response):
            return HubUnreachableError(
                f"{repo}: {asked.endpoint} answers {response.status_code} "
                f"{response.reason_phrase}; try again later"
            )
    return None


def _from_transport(error: Exception, asked: HubRequest, *, offline: bool) -> HubError | None:
    if offline and isinstance(error, RevisionResolutionError):
        return NotCachedError(
            f"{asked.repo} at {asked.revision} is not in the hub client's cache ({asked.cache}); "
            f"pull it once without --offline and HF_HUB_OFFLINE"
        )
    if isinstance(error, (*_CLIENTS, LocalEntryNotFoundError, FileMetadataError)):
        cause = _line(error.__cause__ or error)
        return HubUnreachableError(
            f"{asked.repo}: {asked.endpoint} cannot be reached ({cause}); --offline takes what "
            f"the cache holds"
        )
    if isinstance(error, RuntimeError):
        # hf_xet has no other type for what goes wrong in the storage of large files.
        return HubUnreachableError(
            f"{asked.repo}: the storage of the hub fails ({_line(error)}); try again, or with "
            f"HF_HUB_DISABLE_XET=1, over plain HTTP"
        )
    if _SIZE_CHECK in str(error):
        said = _line(error).removeprefix(f"{_SIZE_CHECK}: ")
        return FileMismatchError(f"{asked.repo}: {said}")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"the disk of {asked.cache} is full (HF_HOME moves the cache)")
    return None


def _line(said: object) -> str:
    return " ".join(str(said).split()) or type(said).__name__
