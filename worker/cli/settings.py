"""`qa-worker settings`: shows every environment variable, or checks them with `--check`."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.dotenv import read_env_file
from worker.cli.registry_extra import check_registry_extra
from worker.cli.terminal import Table, print_line
from worker.cli.tracing import check_tracing
from worker.kafka.connection import connection_options
from worker.settings import Settings, SettingsError
from worker.settings.environment import (
    current,
    find_doubtful,
    find_misspelled,
    load,
    validate,
    variables,
)


def settings(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="With --check: a file of KEY=VALUE lines to check, not the environment."
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Print one line for each problem; exit with 1 if there is one."
        ),
    ] = False,
) -> None:
    """Show every setting with default, meaning and current value. Secrets are masked."""
    if check:
        _check(file)
    elif file is not None:
        raise typer.BadParameter("a file needs --check")
    else:
        _print_table()


def _check(file: Path | None) -> None:
    environment: Mapping[str, str] = os.environ
    problems: list[str] = []
    if file is not None:
        environment, problems = read_env_file(file)
    problems += [*_problems(environment), *find_misspelled(environment)]
    for problem in problems:
        print_line(problem)
    if problems:
        raise typer.Exit(1)
    names = [variable.name for variable in variables()]
    count = sum(name in environment or f"{name}_FILE" in environment for name in names)
    print_line(f"ok: {count} settings")


def _problems(environment: Mapping[str, str]) -> list[str]:
    """Errors in the settings that stop a worker at its start, and doubts that do not. Connects to
    no broker and no schema registry.
    """
    settings = validate(environment)
    if not isinstance(settings, Settings):
        return settings
    problems = list(find_doubtful(settings))
    checks: list[Callable[[], object]] = [
        lambda: connection_options(settings.kafka),
        lambda: check_tracing(settings, environment),
        lambda: check_registry_extra(settings),
        lambda: _check_registry_login(settings),
    ]
    for each in checks:
        try:
            each()
        except SettingsError as error:
            problems.append(str(error))
    return problems


def _check_registry_login(settings: Settings) -> None:
    """Raises `SettingsError` if a file of the registry's TLS settings cannot be used."""
    if settings.schema_registry.url:
        from worker.schema_registry.login import login

        login(settings.schema_registry)


def _print_table() -> None:
    values = current(load())
    table = Table("Variable", "Default", "Meaning", "Current value", unbroken={"Variable"})
    for variable in variables():
        value = values[variable.name]
        is_set = variable.name in os.environ or f"{variable.name}_FILE" in os.environ
        table.add_row(
            variable.name,
            variable.default or "-",
            variable.meaning,
            value or "-",
            style="bold" if is_set else None,
        )
    table.print()
