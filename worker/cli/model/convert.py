"""`qa-worker model convert`: weights of DistilBERT or BERT to a bundle in the store."""

from worker.cli.model.extra import require_models_extra
from worker.cli.model.options import (
    Directory,
    KnowsNoAnswer,
    Name,
    Normalize,
    PoolingMode,
    Quantize,
    Replace,
    print_result,
)
from worker.models.store import ModelStore
from worker.settings.environment import load


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
    require_models_extra()
    from worker.model_tools.build import build_bundle
    from worker.model_tools.manifest_writer import Provenance
    from worker.model_tools.pooling_config import find_pooling
    from worker.model_tools.quantize.quantize import Method
    from worker.model_tools.source_files import SAFETENSORS, names_in, select_files

    target = ModelStore(load().qa.models).target_directory(name or directory.resolve().name)
    contents = select_files(names_in(directory), str(directory), (SAFETENSORS,))
    origin = Provenance(
        name=target.name,
        # Not its path: bundles travel, and a path says where its maker keeps things.
        source=directory.resolve().name,
        knows_no_answer=knows_no_answer,
        pooling=find_pooling(directory, pooling, normalize),
    )
    method = Method(quantize) if quantize else None
    print_result(
        build_bundle(directory, contents, target, origin, method=method, overwrite=replace)
    )
