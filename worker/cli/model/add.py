"""`qa-worker model add`: a directory with an ONNX export, or a bundle, into the store."""

import dataclasses

from worker.cli.model.extra import require_models_extra
from worker.cli.model.options import (
    Directory,
    KnowsNoAnswer,
    Name,
    Normalize,
    PoolingMode,
    Replace,
    print_result,
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
    """Put a directory with an ONNX export (or a whole bundle) among the models, if it runs."""
    require_models_extra()
    from worker.model_tools.build import build_bundle, copy_bundle
    from worker.model_tools.manifest_writer import Provenance
    from worker.model_tools.pooling_config import find_pooling
    from worker.model_tools.source_files import EXPORTS, names_in, select_files

    store = ModelStore(load().qa.models)
    wanted_pooling = find_pooling(directory, pooling, normalize)
    if (directory / MANIFEST).is_file():
        bundle = open_bundle(directory)
        target = store.target_directory(name or bundle.name)
        origin = Provenance.of(bundle.manifest, target.name)
        origin = dataclasses.replace(
            origin,
            knows_no_answer=knows_no_answer or origin.knows_no_answer,
            pooling=wanted_pooling or origin.pooling,
        )
        print_result(copy_bundle(bundle, target, origin, overwrite=replace))
        return
    target = store.target_directory(name or directory.resolve().name)
    origin = Provenance(
        name=target.name,
        # Not its path: bundles travel, and a path says where its maker keeps things.
        source=directory.resolve().name,
        knows_no_answer=knows_no_answer,
        pooling=wanted_pooling,
    )
    contents = select_files(names_in(directory), str(directory), EXPORTS)
    print_result(build_bundle(directory, contents, target, origin, overwrite=replace))
