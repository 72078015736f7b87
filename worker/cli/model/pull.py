"""`qa-worker model pull`: a model of the Hugging Face Hub to a bundle in the store."""

from typing import Annotated

import typer

from worker.bundles.store import Store
from worker.cli.model.extra import need_extra
from worker.cli.model.options import (
    KnowsNoAnswer,
    Name,
    Normalize,
    PoolingMode,
    Quantize,
    Replace,
    say,
)
from worker.environment import load


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
    need_extra()
    from worker.bundles.building import check_free
    from worker.bundles.hub import Hub
    from worker.bundles.make import Origin
    from worker.bundles.pooling import find_pooling
    from worker.bundles.published import make_bundle
    from worker.bundles.quantize import Method

    target = Store(load().qa.models).place(name or repo.rpartition("/")[2])
    # Now, and not after the download.
    check_free(target, replace=replace)
    fetched = Hub().fetch(repo, revision, offline=offline)
    origin = Origin(
        name=target.name,
        source=repo,
        revision=fetched.commit,
        knows_no_answer=knows_no_answer,
        pooling=find_pooling(fetched.directory, pooling, normalize),
    )
    method = Method(quantize) if quantize else None
    say(
        make_bundle(
            fetched.directory, fetched.contents, target, origin, method=method, overwrite=replace
        )
    )
