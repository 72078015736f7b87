"""`qa-worker model`: downloads, builds, measures and lists model bundles. One file a command.

The commands that build bundles import what they need (the extra `models`) when they are called, so
that the worker starts without it.
"""

import typer

from worker.cli.model import add, calibrate, convert, info, listing, pull, quantize, verify

app = typer.Typer(help="Download, build, measure and list models.")
app.command("pull")(pull.pull)
app.command("convert")(convert.convert)
app.command("add")(add.add)
app.command("quantize")(quantize.quantize)
app.command("verify")(verify.verify)
app.command("calibrate")(calibrate.calibrate)
app.command("list")(listing.list_models)
app.command("info")(info.info)
