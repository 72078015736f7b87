"""`qa-worker settings`: every variable, its default, its meaning, its current value."""

import os

from rich.markup import escape
from rich.table import Table

from worker.cli.console import out
from worker.environment import current, load, variables


def show() -> None:
    """Show every setting: its default, its meaning, its current value. Secrets stay hidden."""
    values = current(load())
    table = Table("Variable", "Default", "Meaning", "Current value", show_lines=False)
    for variable in variables():
        value = values[variable.name]
        is_set = variable.name in os.environ or f"{variable.name}_FILE" in os.environ
        table.add_row(
            variable.name,
            variable.default or "-",
            variable.meaning,
            escape(value) or "-",
            style="bold" if is_set else None,
        )
    out.print(table)
