"""`qa-worker model add`: a directory with an ONNX export, or a bundle, into the store."""

import dataclasses

from worker.bundles.store import Store
from worker.cli.model.extra import need_extra
from worker.cli.model.options import (
    Directory,
    KnowsNoAnswer,
    Name,
    Normalize,
    PoolingMode,
    Replace,
    say,
)
from worker.environment import load
from worker.reading.bundle import open_bundle
from worker.reading.manifest import MANIFEST


def add(
    directory: Directory,
    name: Name = None,
    replace: Replace = False,
    knows_no_answer: KnowsNoAnswer = False,
    pooling: PoolingMode = None,
    normalize: Normalize = None,
) -> None:
    """Put a directory with an ONNX export (or a whole bundle) among the models, if it runs."""
    need_extra()
    from worker.bundles.contents import EXPORTS, choose, names_in
    from worker.bundles.make import Origin
    from worker.bundles.pooling import find_pooling
    from worker.bundles.published import copy_bundle, make_bundle

    store = Store(load().qa.models)
    wanted_pooling = find_pooling(directory, pooling, normalize)
    if (directory / MANIFEST).is_file():
        bundle = open_bundle(directory)
        target = store.place(name or bundle.name)
        origin = Origin.of(bundle.manifest, target.name)
        origin = dataclasses.replace(
            origin,
            knows_no_answer=knows_no_answer or origin.knows_no_answer,
            pooling=wanted_pooling or origin.pooling,
        )
        say(copy_bundle(bundle, target, origin, overwrite=replace))
        return
    target = store.place(name or directory.resolve().name)
    origin = Origin(
        name=target.name,
        # Not its path: bundles travel, and a path says where its maker keeps things.
        source=directory.resolve().name,
        knows_no_answer=knows_no_answer,
        pooling=wanted_pooling,
    )
    contents = choose(names_in(directory), str(directory), EXPORTS)
    say(make_bundle(directory, contents, target, origin, overwrite=replace))
