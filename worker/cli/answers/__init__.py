"""`qa-worker answers`: one module for each command."""

import typer

from worker.cli.answers import compare

app = typer.Typer(help="Compare answers.")
app.command("compare")(compare.compare)


@app.callback()
def _group() -> None:
    """A group although it has one command."""
