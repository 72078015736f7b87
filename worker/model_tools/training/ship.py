"""Makes a bundle the shipped model: `python -m worker.model_tools.training.ship BUNDLE_DIR`.

The files are copied to `worker/models/default`; the manifest keeps scores and calibration and gets
the name `default`. MODEL_CARD.md and vocab.txt stay as they are there. A card that does not name
the hash of the new model.onnx fails a test.
"""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

from worker.model_tools.manifest_writer import Provenance, record_batch_invariance, write_manifest
from worker.models.bundle import DEFAULT_BUNDLE, DEFAULT_NAME, Bundle, open_bundle
from worker.models.manifest import REQUIRED


def ship(source: Bundle, directory: Path = DEFAULT_BUNDLE) -> Bundle:
    """Write the files of `source` and their manifest. Raises `BundleError`, `OSError`."""
    for name in REQUIRED:
        shutil.copyfile(source.directory / name, directory / name)
    provenance = replace(Provenance.of(source.manifest, DEFAULT_NAME), source=None)
    write_manifest(directory, provenance)
    return record_batch_invariance(open_bundle(directory), source.manifest.batch_invariant)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    shipped = ship(open_bundle(parser.parse_args().bundle))
    print(f"{shipped.directory}: {shipped.manifest.sha256}")  # noqa: T201


if __name__ == "__main__":
    main()
