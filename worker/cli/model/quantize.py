"""`qa-worker model quantize`: quantizes a float32 model to int8."""

from typing import Annotated, Literal

import typer

from worker.cli.model.extra import require_models_extra
from worker.cli.model.install import print_result
from worker.cli.model.options import Replace
from worker.models.store import ModelStore
from worker.settings.environment import load


def quantize(
    model: Annotated[str, typer.Argument(metavar="NAME|DIR", help="a float32 model")],
    method: Annotated[
        Literal["per-token", "dynamic"],
        typer.Option(help="one scale for each token, or one for all tokens of a run"),
    ] = "per-token",
    name: Annotated[
        str | None, typer.Option(help="default: the source's name, followed by -int8")
    ] = None,
    replace: Replace = False,
) -> None:
    """Quantize linear layers and word embeddings to int8: a quarter of the size, twice as fast."""
    require_models_extra()
    from worker.model_tools.build import quantize_bundle
    from worker.model_tools.manifest_writer import Provenance
    from worker.model_tools.quantize.quantize import Method

    store = ModelStore(load().qa.models)
    source = store.open(model)
    target = store.target_directory(name or f"{source.name}-int8")
    print_result(
        quantize_bundle(
            source,
            target,
            Provenance.of(source.manifest, target.name),
            method=Method(method),
            overwrite=replace,
        )
    )
