"""`qa-worker model convert`: weights of DistilBERT or BERT to a bundle in the store."""

from worker.bundles.store import Store
from worker.cli.model.extra import need_extra
from worker.cli.model.options import (
    Directory,
    KnowsNoAnswer,
    Name,
    Normalize,
    PoolingMode,
    Quantize,
    Replace,
    say,
)
from worker.environment import load


def convert(
    directory: Directory,
    name: Name = None,
    replace: Replace = False,
    knows_no_answer: KnowsNoAnswer = False,
    pooling: PoolingMode = None,
    normalize: Normalize = None,
    quantize: Quantize = None,
) -> None:
    """Convert config.json, tokenizer and model.safetensors to a bundle, without torch."""
    need_extra()
    from worker.bundles.contents import SAFETENSORS, choose, names_in
    from worker.bundles.make import Origin
    from worker.bundles.pooling import find_pooling
    from worker.bundles.published import make_bundle
    from worker.bundles.quantize import Method

    target = Store(load().qa.models).place(name or directory.resolve().name)
    contents = choose(names_in(directory), str(directory), (SAFETENSORS,))
    origin = Origin(
        name=target.name,
        # Not its path: bundles travel, and a path says where its maker keeps things.
        source=directory.resolve().name,
        knows_no_answer=knows_no_answer,
        pooling=find_pooling(directory, pooling, normalize),
    )
    method = Method(quantize) if quantize else None
    say(make_bundle(directory, contents, target, origin, method=method, overwrite=replace))
