"""`qa-worker dead-letters`: what was rejected is listed, shown, sent again. One file a command."""

import typer

from worker.cli.dead_letters import listing, replay, show

app = typer.Typer(help="List, show and replay dead letters.")
app.command("list")(listing.list_dead_letters)
app.command("show")(show.show_dead_letter)
app.command("replay")(replay.replay)
