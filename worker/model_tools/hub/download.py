"""Models from the Hugging Face Hub: which files, and that they are what the hub announced.

The hub's own client does the rest, and is set up as everywhere: cache, resuming, progress bars,
tokens (HF_TOKEN or a login), HF_ENDPOINT, HF_HUB_OFFLINE. What it raises is `hub_errors`'s.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, is_offline_mode, try_to_load_from_cache
from huggingface_hub.hf_api import RepoSibling

from worker import __version__
from worker.model_tools.build import check_source
from worker.model_tools.hub.errors import (
    FileMismatchError,
    HubRequest,
    NotCachedError,
    RepoMovedError,
    translate_hub_errors,
)
from worker.model_tools.source_files import SourceFiles, names_in, select_files
from worker.models.manifest import CONFIG


@dataclass(frozen=True, slots=True)
class Fetched:
    """A model's files in the client's cache, under their names in the repository."""

    directory: Path
    commit: str
    contents: SourceFiles


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub and the client's cache of it; by default those of the client's own variables."""

    endpoint: str = constants.ENDPOINT
    cache: Path = Path(constants.HF_HUB_CACHE)
    token: str | bool | None = None
    """`None` is the client's: HF_TOKEN, or a login."""

    def fetch(self, repo: str, revision: str | None = None, *, offline: bool = False) -> Fetched:
        """The files of `repo` that a bundle needs, at a branch, tag, commit or pull request.

        Files that the cache holds are not fetched again; offline, nothing else is looked at.
        Raises `HubError` and other `BundleError`s, `OSError`.
        """
        offline = offline or is_offline_mode()
        asked = HubRequest(repo, revision or constants.DEFAULT_REVISION, self.endpoint, self.cache)
        with translate_hub_errors(asked, offline=offline):
            return self._cached(repo, revision) if offline else self._online(repo, revision)

    def _online(self, repo: str, revision: str | None) -> Fetched:
        info = self._api().model_info(
            repo, revision=revision, files_metadata=True, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        )
        announced = {file.rfilename: file for file in info.siblings or ()}
        contents = select_files(announced, repo)
        commit = str(info.sha)
        for name in contents.others:
            # Asked for by the caller's word once, so that the client knows it again when offline.
            path = self._download(repo, name, revision if name == CONFIG else commit)
            directory = _root(path, name)
            if directory.name != commit:
                raise RepoMovedError(f"{repo} got a new commit while it was fetched; pull it again")
            _check(path, announced[name])
        check_source(directory, contents)
        _check(self._download(repo, contents.weights, commit), announced[contents.weights])
        return Fetched(directory, commit, contents)

    def _download(self, repo: str, name: str, revision: str | None) -> Path:
        path = self._api().hf_hub_download(repo, name, revision=revision, cache_dir=self.cache)
        return Path(path)

    def _cached(self, repo: str, revision: str | None) -> Fetched:
        resolved = self._api().resolve_revision(
            repo, revision=revision, cache_dir=self.cache, local_files_only=True
        )
        config = try_to_load_from_cache(
            repo, CONFIG, cache_dir=self.cache, revision=resolved.resolved
        )
        if not isinstance(config, str):
            raise NotCachedError(f"{repo}: the hub client's cache has no {CONFIG} of it")
        directory = Path(config).parent
        contents = select_files(names_in(directory), f"{repo}, as cached")
        return Fetched(directory, resolved.resolved, contents)

    def _api(self) -> HfApi:
        return HfApi(
            self.endpoint, self.token, library_name="qa-worker", library_version=__version__
        )


def _root(path: Path, name: str) -> Path:
    """The snapshot's directory: that of the commit, where `name` is a path below it."""
    return path.parents[name.count("/")]


def _check(path: Path, announced: RepoSibling) -> None:
    """Raises `FileMismatchError`, with the file gone from the cache: the next pull fetches it."""
    size = path.stat().st_size
    if announced.size is not None and size != announced.size:
        problem = f"{size} bytes long, announced are {announced.size}"
    elif announced.lfs is not None and (found := _sha256(path)) != announced.lfs.sha256:
        problem = f"sha256 {found[:12]}…, announced is {announced.lfs.sha256[:12]}…"
    elif announced.lfs is None and announced.blob_id not in (None, found := _git_hash(path)):
        problem = f"git hash {found[:12]}…, announced is {str(announced.blob_id)[:12]}…"
    else:
        return
    path.resolve().unlink()
    path.unlink(missing_ok=True)
    raise FileMismatchError(f"{announced.rfilename} came wrong ({problem}); pull it again")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_hash(path: Path) -> str:
    """The name that git gives to a file's content, of the small files that it holds itself."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
