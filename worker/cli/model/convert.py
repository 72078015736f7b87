"""`qa-worker model convert`: converts weights of DistilBERT or BERT to a bundle."""

from worker.cli.model.extra import require_models_extra
from worker.cli.model.install import ModelOptions, install
from worker.cli.model.options import (
    Directory,
    KnowsNoAnswer,
    Name,
    Normalize,
    PoolingMode,
    Quantize,
    Replace,
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
    from worker.model_tools.source_files import SAFETENSORS, names_in, select_files

    # Not the path: bundles are copied to other machines, and a path tells about this one.
    source = directory.resolve().name
    files = select_files(names_in(directory), str(directory), (SAFETENSORS,))
    target = ModelStore(load().qa.models).target_directory(name or source)
    options = ModelOptions(replace, knows_no_answer, pooling, normalize, quantize)
    install(directory, files, target, options, source=source)
