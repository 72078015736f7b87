"""`qa-worker schemas register|check`: the schemas of answers and questions in the registry."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas import Question, Text
from worker.cli.errors import CommandError
from worker.cli.registry_extra import check_registry_extra
from worker.cli.terminal import Table
from worker.models.manifest import Task
from worker.models.store import ModelStore
from worker.settings import Settings
from worker.settings.environment import load
from worker.settings.value_formats import AnswerFormat

if TYPE_CHECKING:
    from worker.schema_registry.answer_schema import PublishedSchema
    from worker.schema_registry.client import RegistryClient

    Find = Callable[[PublishedSchema, RegistryClient], Coroutine[Any, Any, int | None]]

app = typer.Typer(help="Register the schemas of answers and questions, or check that they are.")

Questions = Annotated[
    AnswerFormat | None,
    typer.Option(
        "--questions",
        help="The schema of questions as well, in this format, for each questions topic.",
    ),
]


@app.command()
def register(questions: Questions = None) -> None:
    """Register the answers' schema in QA_ANSWER_FORMAT, if the registry does not have it."""
    _print_ids(questions, lambda schema, client: schema.register(client))


@app.command()
def check(questions: Questions = None) -> None:
    """Check that the registry has the answers' schema; exit with 1 if it does not."""
    if None in _print_ids(questions, lambda schema, client: schema.find(client)):
        raise typer.Exit(1)


def _print_ids(questions: AnswerFormat | None, find: "Find") -> list[int | None]:
    settings = load()
    formats = settings.qa.answer_format, questions or AnswerFormat.JSON
    if formats == (AnswerFormat.JSON, AnswerFormat.JSON):
        raise CommandError(
            "values in JSON have no schema in a registry: set QA_ANSWER_FORMAT to avro, "
            "json_schema or protobuf, or give one of them to --questions"
        )
    if not settings.schema_registry.url:
        raise CommandError("SCHEMA_REGISTRY_URL is not set")
    check_registry_extra(settings)
    schemas = _schemas(settings, *formats)
    ids = asyncio.run(_ask(settings, schemas, find))
    table = Table("Subject", "Schema", "Id")
    for schema, schema_id in zip(schemas, ids, strict=True):
        style = "red" if schema_id is None else None
        table.add_row(
            schema.subject,
            schema.file,
            "missing" if schema_id is None else str(schema_id),
            style=style,
        )
    table.print()
    return ids


def _schemas(
    settings: Settings, answers: AnswerFormat, questions: AnswerFormat
) -> "list[PublishedSchema]":
    from worker.schema_registry.answer_schema import published_schema

    qa = settings.qa
    is_embedder = ModelStore(qa.models).open(qa.model).manifest.task is Task.EMBEDDINGS
    event_type = Text if is_embedder else Question
    found = []
    if questions is not AnswerFormat.JSON:
        found = [published_schema(topic, event_type, questions) for topic in qa.question_topics]
    if answers is not AnswerFormat.JSON:
        found.append(published_schema(qa.answers_topic, event_type.OUTCOME, answers))
    return found


async def _ask(
    settings: Settings, schemas: "Sequence[PublishedSchema]", find: "Find"
) -> list[int | None]:
    from worker.schema_registry.opening import registry_client
    from worker.schema_registry.responses import RegistryUnavailableError

    async with registry_client(settings) as client:
        try:
            return [await find(schema, client) for schema in schemas]
        except RegistryUnavailableError as error:
            raise CommandError(f"SCHEMA_REGISTRY_URL: {error}") from None
