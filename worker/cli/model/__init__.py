"""`qa-worker model`: model bundles are fetched, made and shown. One file a command.

What only the makers need (the extra `models`) is imported when a command that makes is called: the
worker starts without it.
"""

import typer

from worker.cli.model import add, convert, info, listing, pull, quantize, verify

app = typer.Typer(help="Fetch, make and show model bundles.")
app.command("pull")(pull.pull)
app.command("convert")(convert.convert)
app.command("add")(add.add)
app.command("quantize")(quantize.quantize)
app.command("verify")(verify.verify)
app.command("list")(listing.show)
app.command("info")(info.info)
