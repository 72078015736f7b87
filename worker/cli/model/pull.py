"""`qa-worker model pull`: a model of the Hugging Face Hub to a bundle in the store."""

from typing import Annotated

import typer

from worker.cli.model.extra import require_models_extra
from worker.cli.model.options import (
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


def pull(
    repo: Annotated[str, typer.Argument(metavar="REPO_ID", help="owner/name on the hub")],
    revision: Annotated[
        str | None, typer.Option(help="branch, tag, commit or refs/pr/N; default: main")
    ] = None,
    name: Name = None,
    replace: Replace = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="take what the hub client's cache holds")
    ] = False,
    knows_no_answer: KnowsNoAnswer = False,
    pooling: PoolingMode = None,
    normalize: Normalize = None,
    quantize: Quantize = None,
) -> None:
    """Fetch a model from the Hugging Face Hub: its ONNX export, else model.safetensors, converted.

    The hub's own variables count: HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE.
    """
    require_models_extra()
    from worker.model_tools.atomic_directory import ensure_available
    from worker.model_tools.build import build_bundle
    from worker.model_tools.hub.download import Hub
    from worker.model_tools.manifest_writer import Provenance
    from worker.model_tools.pooling_config import find_pooling
    from worker.model_tools.quantize.quantize import Method

    target = ModelStore(load().qa.models).target_directory(name or repo.rpartition("/")[2])
    # Now, and not after the download.
    ensure_available(target, replace=replace)
    fetched = Hub().fetch(repo, revision, offline=offline)
    origin = Provenance(
        name=target.name,
        source=repo,
        revision=fetched.commit,
        knows_no_answer=knows_no_answer,
        pooling=find_pooling(fetched.directory, pooling, normalize),
    )
    method = Method(quantize) if quantize else None
    print_result(
        build_bundle(
            fetched.directory, fetched.files, target, origin, method=method, overwrite=replace
        )
    )
