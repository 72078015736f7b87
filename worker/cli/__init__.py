"""The commands; the only place where rooms are put together.

Each command is a file. What a user got wrong, or what is not there, ends in one line on stderr
and a non-zero exit; a traceback is a bug.
"""

import logging
import os
import sys

import typer
from aiokafka.errors import KafkaConnectionError, KafkaError

from worker.cli import ask, dead_letters, demo, evaluate, model, read, run, settings, topics
from worker.kafka.errors import StreamingError, format_error
from worker.kafka.kafka_distribution import BrokerUnavailable
from worker.model_tools.evaluation.squad import DataError
from worker.models.bundle import BundleError
from worker.settings import SettingsError

app = typer.Typer(
    name="qa-worker",
    help="A question-answering worker for Kafka.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("demo")(demo.demo)
app.command("ask")(ask.ask)
app.command("read")(read.read)
app.command("evaluate")(evaluate.evaluate)
app.command("settings")(settings.settings)
app.add_typer(topics.app, name="topics")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(model.app, name="model")

_EXPECTED = (
    BrokerUnavailable,
    BundleError,
    DataError,
    KafkaError,
    OSError,
    SettingsError,
    StreamingError,
    TimeoutError,
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits."""
    # What the client library has to say belongs in the worker's log, which `run` sets up.
    logging.getLogger().addHandler(logging.NullHandler())
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(args=arguments or ["--help"], prog_name="qa-worker", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted")
        sys.exit(130)
    except typer.TyperException as error:
        _complain(error.format_message())
        sys.exit(error.exit_code)
    except KafkaConnectionError as error:
        servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
        _complain(
            f"no broker answers at {servers} (KAFKA_BOOTSTRAP_SERVERS): {format_error(error)}"
        )
        sys.exit(1)
    except _EXPECTED as error:
        _complain(format_error(error))
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> None:
    typer.echo(f"qa-worker: {message}", err=True)
