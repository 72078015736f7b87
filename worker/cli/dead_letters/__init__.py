"""`qa-worker dead-letters`: one module for each command."""

import typer

from worker.cli.dead_letters import listing, replay, show

app = typer.Typer(help="List, show and replay dead letters.")
app.command("list")(listing.list_dead_letters)
app.command("show")(show.show_dead_letter)
app.command("replay")(replay.replay)
