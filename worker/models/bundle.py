"""A model directory, opened: every file is there and is the one that the manifest names.

Knows files and bytes only; opening the graph is the session's work, the tokenizer the windows'.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from schemas.answer import ModelInfo
from worker.models.manifest import MANIFEST, MODEL, REQUIRED, TOKENIZER, Manifest, file_hashes

DEFAULT_NAME = "default"
DEFAULT_BUNDLE = Path(__file__).parent.parent / "models" / DEFAULT_NAME
"""The model that ships with the package."""


class BundleError(Exception):
    """This directory is no model bundle that the worker can use; the message says why."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model on disk, checked."""

    directory: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.manifest.name

    def model_info(self, provider: str) -> ModelInfo:
        """What answers say of the model that made them."""
        manifest = self.manifest
        return ModelInfo(
            name=manifest.name,
            revision=manifest.revision,
            sha256=manifest.sha256,
            precision=manifest.precision,
            provider=provider,
        )

    @property
    def model_file(self) -> Path:
        return self.directory / MODEL

    @property
    def tokenizer_file(self) -> Path:
        return self.directory / TOKENIZER


def open_bundle(directory: Path) -> Bundle:
    """Read and check `directory`. Raises `BundleError` with what is missing or wrong."""
    if not directory.is_dir():
        raise BundleError(f"{directory}: there is no such directory")
    manifest = read_manifest(directory)
    for name in manifest.files:
        if not (directory / name).is_file():
            raise BundleError(f"{directory}: {name} is missing; its manifest lists it")
    for name, digest in file_hashes(directory, manifest.files).items():
        if digest != manifest.files[name]:
            raise BundleError(
                f"{directory}/{name} is not the file that {MANIFEST} lists (sha256 {digest[:12]}…, "
                f"listed {manifest.files[name][:12]}…): fetch or make the bundle again"
            )
    return Bundle(directory, manifest)


def read_manifest(directory: Path) -> Manifest:
    """What `directory` says of itself, its files unseen. Raises `BundleError`."""
    path = directory / MANIFEST
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        missing = [name for name in REQUIRED if not (directory / name).is_file()]
        advice = (
            f"{', '.join(missing)} too"
            if missing
            else f"`qa-worker model add {directory}` makes a bundle of a model directory"
        )
        raise BundleError(f"{directory}: {MANIFEST} is missing; {advice}") from None
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "manifest"
        raise BundleError(f"{path}: {where}: {first['msg']}") from None
