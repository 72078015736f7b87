"""Opens a model bundle: checks that every file exists and has the hash that its manifest lists.

Does not open the graph (`OnnxSession` does) or the tokenizer (`inference/tokenizer.py` does).
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from schemas.answer import ModelInfo
from worker.models.error_text import first_problem
from worker.models.manifest import MANIFEST, MODEL, REQUIRED, TOKENIZER, Manifest, file_hashes

DEFAULT_NAME = "default"
DEFAULT_BUNDLE = Path(__file__).parent.parent / "models" / DEFAULT_NAME
"""The model that ships with the package."""


class BundleError(Exception):
    """A directory is not a usable model bundle. The message is one line that names the cause."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A checked model directory."""

    directory: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.manifest.name

    def model_info(self, provider: str) -> ModelInfo:
        """The part of an answer that identifies its model."""
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
    """Read and check `directory`. Raises `BundleError`."""
    if not directory.is_dir():
        raise BundleError(f"{directory}: no such directory")
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
    """Read the manifest of `directory`, without a look at the other files. Raises `BundleError`."""
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
        raise BundleError(f"{path}: {first_problem(error, whole='manifest')}") from None
