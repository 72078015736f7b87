"""`qa-worker model add`: adds a directory with an ONNX export, or a bundle, to the models."""

import dataclasses
from pathlib import Path

from worker.cli.model.extra import require_models_extra
from worker.cli.model.install import ModelOptions, install, print_result
from worker.cli.model.options import (
    Directory,
    KnowsNoAnswer,
    Name,
    Normalize,
    PoolingMode,
    Replace,
)
from worker.models.bundle import open_bundle
from worker.models.manifest import MANIFEST
from worker.models.store import ModelStore
from worker.settings.environment import load


def add(
    directory: Directory,
    name: Name = None,
    replace: Replace = False,
    knows_no_answer: KnowsNoAnswer = False,
    pooling: PoolingMode = None,
    normalize: Normalize = None,
) -> None:
    """Add a directory with an ONNX export, or a bundle, to the models in QA_MODELS."""
    require_models_extra()
    from worker.model_tools.source_files import EXPORTS, names_in, select_files

    options = ModelOptions(replace, knows_no_answer, pooling, normalize)
    store = ModelStore(load().qa.models)
    if (directory / MANIFEST).is_file():
        _add_bundle(store, directory, name, options)
        return
    # Not the path: bundles are copied to other machines, and a path tells about this one.
    source = directory.resolve().name
    files = select_files(names_in(directory), str(directory), EXPORTS)
    install(
        directory,
        files,
        store.target_directory(name or source),
        options,
        source=source,
        alternative="use `qa-worker model convert`",
    )


def _add_bundle(
    store: ModelStore, directory: Path, name: str | None, options: ModelOptions
) -> None:
    from worker.model_tools.build import copy_bundle
    from worker.model_tools.manifest_writer import Provenance
    from worker.model_tools.sentence_transformers.pooling import find_pooling

    bundle = open_bundle(directory)
    target = store.target_directory(name or bundle.name)
    provenance = Provenance.of(bundle.manifest, target.name)
    pooling = find_pooling(directory, options.pooling, options.normalize, base=provenance.pooling)
    provenance = dataclasses.replace(
        provenance,
        knows_no_answer=options.knows_no_answer or provenance.knows_no_answer,
        pooling=pooling,
    )
    print_result(copy_bundle(bundle, target, provenance, overwrite=options.replace))
