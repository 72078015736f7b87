"""`qa-worker settings`: every variable, its default, its meaning, its current value; or, with
`--check`, what is wrong with them.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from worker.cli.dotenv import read_env_file
from worker.cli.terminal import out
from worker.cli.tracing import check_tracing
from worker.kafka.connection import connection_options
from worker.settings import Settings, SettingsError
from worker.settings.environment import current, find_misspelled, load, validate, variables


def settings(
    file: Annotated[
        Path | None, typer.Argument(help="with --check: KEY=VALUE lines, not the environment")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="only say what is wrong, a line each; then exit with 1")
    ] = False,
) -> None:
    """Show every setting: its default, its meaning, its current value. Secrets stay hidden."""
    if check:
        _check(file)
    elif file is not None:
        raise typer.BadParameter("a file is only checked: add --check")
    else:
        _show()


def _check(file: Path | None) -> None:
    environment: Mapping[str, str] = os.environ
    problems: list[str] = []
    if file is not None:
        environment, problems = read_env_file(file)
    problems += [*_problems(environment), *find_misspelled(environment)]
    for problem in problems:
        out.print(problem, soft_wrap=True, markup=False, highlight=False)
    if problems:
        raise typer.Exit(1)
    names = [variable.name for variable in variables()]
    count = sum(name in environment or f"{name}_FILE" in environment for name in names)
    out.print(f"ok: {count} settings")


def _problems(environment: Mapping[str, str]) -> list[str]:
    """What would stop a worker's start, as far as this machine can tell."""
    settings = validate(environment)
    if not isinstance(settings, Settings):
        return settings
    problems = []
    try:
        connection_options(settings.kafka)
    except SettingsError as error:
        problems.append(str(error))
    try:
        check_tracing(settings, environment)
    except SettingsError as error:
        problems.append(str(error))
    return problems


def _show() -> None:
    values = current(load())
    # Names are for copying, so they are not folded.
    name = Column("Variable", no_wrap=True)
    table = Table(name, "Default", "Meaning", "Current value", show_lines=False)
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
