"""`qa-worker model pull`: downloads a model from the Hugging Face Hub and builds a bundle."""

from typing import Annotated, Literal

import typer

from worker.cli.model.extra import require_models_extra
from worker.cli.model.install import ModelOptions, install
from worker.cli.model.options import (
    KnowsNoAnswer,
    Name,
    Normalize,
    PoolingMode,
    Quantize,
    Replace,
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
        bool, typer.Option("--offline", help="use the hub client's cache; send no request")
    ] = False,
    knows_no_answer: KnowsNoAnswer = False,
    pooling: PoolingMode = None,
    normalize: Normalize = None,
    quantize: Quantize = None,
    weights: Annotated[
        Literal["onnx", "safetensors"] | None,
        typer.Option(help="which weights; default: the ONNX export, if there is one"),
    ] = None,
) -> None:
    """Download a model from the Hugging Face Hub: an ONNX export, or weights to convert.

    The variables of the hub's client apply: HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE.
    """
    require_models_extra()
    from worker.model_tools.atomic_directory import ensure_available
    from worker.model_tools.hub.download import Hub
    from worker.model_tools.source_files import ACCEPTED, EXPORTS, SAFETENSORS

    target = ModelStore(load().qa.models).target_directory(name or repo.rpartition("/")[2])
    # Before the download, which can take minutes.
    ensure_available(target, replace=replace)
    accepted = {None: ACCEPTED, "onnx": EXPORTS, "safetensors": (SAFETENSORS,)}[weights]
    download = Hub().fetch(repo, revision, offline=offline, accepted=accepted)
    options = ModelOptions(replace, knows_no_answer, pooling, normalize, quantize)
    install(
        download.directory,
        download.files,
        target,
        options,
        source=repo,
        revision=download.commit,
        alternative="pull it with --weights safetensors",
    )
