"""Arguments and options that several `model` commands share, and what is said when one is done."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from worker.cli.terminal import err, out

if TYPE_CHECKING:
    from worker.model_tools.build import BuiltBundle

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="a model's directory")
]
Name = Annotated[str | None, typer.Option(help="its name here; default: that of the source")]
Replace = Annotated[
    bool, typer.Option("--replace", help="take the place of the model that has the name")
]
KnowsNoAnswer = Annotated[
    bool,
    typer.Option("--knows-no-answer", help="it was trained on unanswerable questions, too"),
]
PoolingMode = Annotated[
    Literal["mean", "cls"] | None,
    typer.Option("--pooling", help="embeddings: which vector stands for a text"),
]
Normalize = Annotated[
    bool | None,
    typer.Option("--normalize/--no-normalize", help="embeddings: bring vectors to length 1"),
]
Quantize = Annotated[
    Literal["per-token", "dynamic"] | None,
    typer.Option("--quantize", help="bring it to int8 right away"),
]


def print_result(made: "BuiltBundle") -> None:
    """What came of it on stdout; what could be wrong with it on stderr."""
    for note in made.notes:
        err.print(f"note: {note}", markup=False, soft_wrap=True)
    bundle = made.bundle
    out.print(
        f"{bundle.name}: {bundle.manifest.task}, {bundle.manifest.precision}, in {bundle.directory}"
        f" (QA_MODEL={bundle.name})",
        markup=False,
        soft_wrap=True,
    )
