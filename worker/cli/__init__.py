"""The command line, `qa-worker`. Only here are the parts of the worker put together.

Each command is one file. An error that a user or an operator can cause ends a command with one
line on stderr and a non-zero exit code: 2 for wrong arguments, 1 for everything else.
"""

import logging
import os
import sys
from typing import Annotated

import typer
from aiokafka.errors import KafkaConnectionError, KafkaError

from worker import __version__
from worker.answers.answer import ComparisonError
from worker.cli import (
    answers,
    ask,
    dead_letters,
    demo,
    evaluate,
    model,
    read,
    run,
    schemas,
    settings,
    topics,
)
from worker.cli.errors import CommandError
from worker.cli.terminal import print_line, print_note, replace_what_stdout_cannot_encode
from worker.kafka.errors import StreamingError, format_error
from worker.kafka.kafka_distribution import BrokerUnavailable
from worker.model_tools.evaluation.squad_document import DataError
from worker.models.bundle import BundleError
from worker.settings import SettingsError

app = typer.Typer(name="qa-worker", pretty_exceptions_enable=False)
app.command("run")(run.run)
app.command("demo")(demo.demo)
app.command("ask")(ask.ask)
app.command("read")(read.read)
app.command("evaluate")(evaluate.evaluate)
app.command("settings")(settings.settings)
app.add_typer(topics.app, name="topics")
app.add_typer(schemas.app, name="schemas")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(answers.app, name="answers")
app.add_typer(model.app, name="model")

_EXPECTED = (
    BrokerUnavailable,
    BundleError,
    CommandError,
    ComparisonError,
    DataError,
    KafkaError,
    OSError,
    SettingsError,
    StreamingError,
    TimeoutError,
)
"""Errors whose message is enough for the user. Any other exception is a bug in a command."""


def _print_version(asked: bool) -> None:
    if asked:
        print_line(f"qa-worker {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Shell completion: `qa-worker --install-completion` detects the shell (bash, zsh, fish "
    "or PowerShell) and installs the script; `qa-worker --show-completion` prints it."
)
def qa_worker(
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
        code = app(args=arguments or ["--help"], prog_name="qa-worker", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        _print_error("interrupted")
        sys.exit(130)
    except typer.TyperException as error:
        _print_error(error.format_message())
        sys.exit(error.exit_code)
    except KafkaConnectionError as error:
        servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
        _print_error(
            f"cannot connect to {servers} (KAFKA_BOOTSTRAP_SERVERS): {format_error(error)}"
        )
        sys.exit(1)
    except _EXPECTED as error:
        _print_error(format_error(error))
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _print_error(message: str) -> None:
    print_note(f"qa-worker: {' '.join(message.split())}")
