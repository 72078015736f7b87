"""Arguments and options that several `model` commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="a model's directory")
]
Name = Annotated[
    str | None, typer.Option(help="the model's name in QA_MODELS; default: that of the source")
]
Replace = Annotated[bool, typer.Option("--replace", help="replace the model of the same name")]
KnowsNoAnswer = Annotated[
    bool,
    typer.Option("--knows-no-answer", help="the model was trained on unanswerable questions too"),
]
PoolingMode = Annotated[
    Literal["mean", "cls"] | None,
    typer.Option("--pooling", help="embeddings: how token vectors become one"),
]
Normalize = Annotated[
    bool | None,
    typer.Option("--normalize/--no-normalize", help="embeddings: scale vectors to length 1"),
]
Quantize = Annotated[
    Literal["per-token", "dynamic"] | None,
    typer.Option("--quantize", help="quantize the model to int8"),
]
