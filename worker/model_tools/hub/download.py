"""Downloads the files of a model that a bundle needs from the Hugging Face Hub.

The hub's own client does the transfer. Its settings apply as everywhere: cache, resuming, progress
bars, tokens (HF_TOKEN or a login), HF_ENDPOINT, HF_HUB_OFFLINE.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, is_offline_mode

from worker import __version__
from worker.model_tools.build import check_source
from worker.model_tools.external_data import external_files
from worker.model_tools.hub.errors import HubError, HubRequest, translate_hub_errors
from worker.model_tools.source_files import ACCEPTED, SourceFiles, names_in, select_files
from worker.models.manifest import CONFIG


@dataclass(frozen=True, slots=True)
class Download:
    """A model's files in the client's cache, under their names in the repository."""

    directory: Path
    commit: str
    files: SourceFiles


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub and the client's cache of it. The defaults are those of the client."""

    endpoint: str = constants.ENDPOINT
    cache: Path = Path(constants.HF_HUB_CACHE)
    token: str | bool | None = None
    """`None`: HF_TOKEN or the user's login. `False`: no token."""

    def fetch(
        self,
        repo: str,
        revision: str | None = None,
        *,
        offline: bool = False,
        accepted: Sequence[str] = ACCEPTED,
    ) -> Download:
        """The files of `repo` that a bundle needs, at a branch, tag, commit or refs/pr/N.

        `accepted` are the names of weights, the preferred one first.
        Downloads only what the cache lacks; offline it sends no request. Downloads the weights
        last, after the configuration and the tokenizer have been checked. All files are of one
        commit. Raises `HubError`, other `BundleError`s and `OSError`.
        """
        offline = offline or is_offline_mode()
        revision = revision or constants.DEFAULT_REVISION
        request = HubRequest(repo, revision, self.endpoint, self.cache)
        api = HfApi(
            self.endpoint, self.token, library_name="qa-worker", library_version=__version__
        )
        with translate_hub_errors(request, offline=offline):
            resolved = api.resolve_revision(
                repo, revision=revision, cache_dir=self.cache, local_files_only=offline
            )

            def download(name: str) -> Path:
                path = api.hf_hub_download(
                    repo,
                    name,
                    revision=resolved,
                    cache_dir=self.cache,
                    local_files_only=offline,
                )
                return Path(path)

            if offline:
                names = names_in(download(CONFIG).parent)
                files = select_files(names, f"{repo} in the cache", accepted)
            else:
                names = set(api.list_repo_files(repo, revision=resolved.resolved))
                files = select_files(names, repo, accepted)
            directory = download(CONFIG).parent
            for name in files.others:
                download(name)
            files = files.with_modules(directory, names)
            for name in files.others:
                download(name)
            check_source(directory, files)
            weights = download(files.weights)
            if files.is_export:
                files = files.with_weights(external_files(weights))
                for name in files.others:
                    if name not in names:
                        raise HubError(f"{repo}: {files.weights} needs {name}, which is missing")
                    download(name)
            if not offline:
                self._verify(api, repo, resolved.resolved, files)
        return Download(directory, resolved.resolved, files)

    def _verify(self, api: HfApi, repo: str, commit: str, files: SourceFiles) -> None:
        """Compare the files' hashes with the hub's listing.

        The client itself compares only sizes. A manifest made of damaged weights would declare
        them good for ever. Removes a damaged file from the cache, so that the next pull downloads
        it again, and raises `HubError`.
        """
        result = api.verify_repo_checksums(repo, revision=commit, cache_dir=self.cache)
        needed = {files.weights, *files.others}
        damaged = [found for found in result.mismatches if found["path"] in needed]
        for found in damaged:
            path = result.verified_path / found["path"]
            path.resolve().unlink()
            path.unlink(missing_ok=True)
        if damaged:
            first = damaged[0]
            actual, expected = first["actual"][:12], first["expected"][:12]
            raise HubError(
                f"{repo}: {first['path']} is damaged ({first['algorithm']} {actual}…, the hub "
                f"lists {expected}…); pull it again"
            )
