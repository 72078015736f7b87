"""The command line, `qa-worker`. Only here are the parts of the worker put together.

Each command is one file. An error that a user or an operator can cause ends a command with one
line on stderr and a non-zero exit code: 2 for wrong arguments, 1 for everything else.
"""

import logging
import sys
from importlib import import_module
from typing import Annotated

import typer

from worker import __version__
from worker.cli.terminal import print_line, print_note, replace_what_stdout_cannot_encode

_COMMANDS = (
    "run",
    "demo",
    "ask",
    "read",
    "evaluate",
    "settings",
    "topics",
    "schemas",
    "dead-letters",
    "answers",
    "model",
)
"""Each is a module of this package, or a package if it has subcommands."""


def _print_version(asked: bool) -> None:
    if asked:
        print_line(f"qa-worker {__version__}")
        raise typer.Exit


_EPILOG = (
    "Shell completion: `qa-worker --install-completion` detects the shell (bash, zsh, fish "
    "or PowerShell) and installs the script; `qa-worker --show-completion` prints it."
)


def _qa_worker(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Answer questions from Kafka with an extractive question-answering model."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit the process with its exit code."""
    # aiokafka logs to the root logger. `run` configures logging; other commands print no log.
    logging.getLogger().addHandler(logging.NullHandler())
    replace_what_stdout_cannot_encode()
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        app = _app(arguments)
        code = app(args=arguments or ["--help"], prog_name="qa-worker", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        _print_error("interrupted")
        sys.exit(130)
    except typer.TyperException as error:
        _print_error(error.format_message())
        sys.exit(error.exit_code)
    except Exception as error:
        from worker.cli.error_messages import message_of  # it imports what the command may not

        if (message := message_of(error)) is None:
            raise
        _print_error(message)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _app(arguments: list[str]) -> typer.Typer:
    """The commands that `arguments` can mean. The others are not imported, which takes a second."""
    app = typer.Typer(name="qa-worker", pretty_exceptions_enable=False)
    app.callback(epilog=_EPILOG)(_qa_worker)
    first = arguments[0] if arguments else ""
    names = (first,) if first in _COMMANDS else () if first == "--version" else _COMMANDS
    for name in names:
        module_name = name.replace("-", "_")
        module = import_module(f"worker.cli.{module_name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, module_name))
    return app


def _print_error(message: str) -> None:
    print_note(f"qa-worker: {' '.join(message.split())}")
