"""Turns errors of the Hugging Face client into one line that says what to do.

Knows the exceptions of `huggingface_hub`, of `httpx2`, its HTTP library, and of `hf_xet`, its
client for the storage of large files.
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
    """A model could not be downloaded; the message says why and what to do."""


_ACCESS = "give a token that may read it: HF_TOKEN, or `hf auth login`"
_SIZE_CHECK = "Consistency check failed"
"""Start of the client's message for a download of the wrong length, a plain `OSError`."""


@dataclass(frozen=True, slots=True)
class HubRequest:
    """What is requested, from which hub, into which cache directory."""

    repo: str
    revision: str
    endpoint: str
    cache: Path


@contextmanager
def translate_hub_errors(request: HubRequest, *, offline: bool) -> Iterator[None]:
    """Raise the client's errors in the block as `HubError`. Other errors pass unchanged."""
    try:
        yield
    except (
        HFValidationError,
        RevisionResolutionError,
        httpx2.HTTPError,
        httpx2.InvalidURL,
        OSError,
        RuntimeError,
    ) as error:
        message = _explain(error, request, offline=offline)
        if message is None:
            raise
        raise HubError(message) from error


def _explain(error: BaseException, request: HubRequest, *, offline: bool) -> str | None:
    """The message for an error, `None` if it is not the client's.

    Subclasses come before their base classes: most of these are also `httpx2.HTTPError`, `OSError`
    or both.
    """
    repo = request.repo
    match error:
        case RevisionResolutionError() | LocalEntryNotFoundError() if offline:
            return (
                f"{repo} at {request.revision} is not in the hub client's cache "
                f"({request.cache}); pull it once without --offline and HF_HUB_OFFLINE"
            )
        case RevisionResolutionError() | LocalEntryNotFoundError() if isinstance(
            cause := error.__cause__, HfHubHTTPError
        ):
            return _explain(cause, request, offline=offline)
        case GatedRepoError():
            return f"{repo} is gated: ask for access on its page, then {_ACCESS}"
        case RepositoryNotFoundError():
            return f"{repo}: the hub has no such repo, or it is private: {_ACCESS}"
        case RevisionNotFoundError():
            return f"{repo} has no revision {request.revision!r}"
        case HFValidationError():
            return f"{repo!r} is not a repo id; repo ids look like owner/name"
        case HfHubHTTPError(response=response) if response.status_code in (401, 403):
            reason = _one_line(error.server_message or response.reason_phrase)
            return f"{repo}: the hub refuses access ({reason}); {_ACCESS}"
        case HfHubHTTPError(response=response):
            status = f"{response.status_code} {response.reason_phrase}"
            return f"{repo}: {request.endpoint} answers {status}; try again later"
        case (
            FileMetadataError()
            | LocalEntryNotFoundError()
            | RevisionResolutionError()
            | httpx2.HTTPError()
            | httpx2.InvalidURL()
        ):
            reason = _one_line(error.__cause__ or error)
            return (
                f"{repo}: cannot reach {request.endpoint} ({reason}); --offline takes the model "
                f"from the hub client's cache"
            )
        case RuntimeError():
            # hf_xet raises every failure of the storage as a plain RuntimeError.
            return (
                f"{repo}: the hub's storage fails ({_one_line(error)}); try again, or set "
                f"HF_HUB_DISABLE_XET=1 to download over plain HTTP"
            )
        case OSError() if _SIZE_CHECK in str(error):
            return f"{repo}: {_one_line(error).removeprefix(f'{_SIZE_CHECK}: ')}"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return f"the disk of {request.cache} is full; HF_HOME moves the cache"
    return None


def _one_line(value: object) -> str:
    return " ".join(str(value).split()) or type(value).__name__
