"""`qa-worker ask`: sends one event through the topics if a broker is configured; otherwise runs the
model in this process.
"""

import asyncio
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from schemas.answer import Answer
from schemas.embedding import Embedding
from schemas.envelope import decode_event
from schemas.event import Outcome
from schemas.question import Passage, Question, ReadingOptions
from schemas.rejection import Rejected
from schemas.text import Text
from worker.cli.errors import CommandError
from worker.cli.registry_extra import check_registry_extra
from worker.cli.terminal import Table, marked, print_note, write_json
from worker.client import UNSURE, QuestionClient
from worker.inference.engine import InferenceEngine
from worker.models.store import ModelStore
from worker.settings import Settings
from worker.settings.environment import load
from worker.settings.value_formats import AnswerFormat

_STDIN = Path("-")

_OUTCOMES: TypeAdapter[Outcome] = TypeAdapter(Outcome)

_SHOWN_DIMENSIONS = 6
"""Leading numbers of an embedding that the table shows. `--json` prints all of them."""


def ask(
    question: Annotated[str | None, typer.Option(help="The question.")] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(help="The text that contains the answer. Several times: passages."),
    ] = None,
    context_file: Annotated[
        list[Path] | None,
        typer.Option(
            dir_okay=False, help="A UTF-8 file with the context; - reads stdin. Several times, too."
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="A text to embed, instead of a question (embedding models only)."),
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Number of answer spans.")] = None,
    min_score: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Do not take a span with a lower score for an answer."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for the worker's answer.")
    ] = 30.0,
    expires_in: Annotated[
        float | None, typer.Option(min=0, help="Seconds until the event expires unanswered.")
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option(help="The questions topic, if there are several. Default: the first."),
    ] = None,
    value_format: Annotated[
        AnswerFormat,
        typer.Option(
            "--format", help="Format of the question; all but json need SCHEMA_REGISTRY_URL."
        ),
    ] = AnswerFormat.JSON,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome event as JSON.")] = (
        False
    ),
) -> None:
    """Ask one question or embed one text: through Kafka if KAFKA_BOOTSTRAP_SERVERS is set,
    otherwise in this process.
    """
    settings = load()
    if settings.kafka.bootstrap_servers:
        check_registry_extra(settings)
    if topic is not None and topic not in settings.qa.question_topics:
        known = ", ".join(settings.qa.question_topics)
        raise typer.BadParameter(f"{topic} is not one of {known}", param_hint="--topic")
    _check_format(settings, value_format)
    options = ReadingOptions(top_k=top_k, min_score=min_score)
    event = _event(question, context or [], context_file or [], text, options)
    if isinstance(event, Question) and not as_json:
        # The table cuts spans out of the context by code points, whatever the worker's default.
        options = options.model_copy(update={"offsets": "code_points"})
        event = event.model_copy(update={"options": options})
    if expires_in is not None:
        event = event.model_copy(update={"expires_at": _after(expires_in)})
    try:
        value = event.model_dump_json().encode()
    except PydanticSerializationError:
        # Arguments that are not UTF-8 arrive with lone surrogates, which JSON cannot carry.
        raise typer.BadParameter("question, context or text is not UTF-8") from None
    try:
        if settings.kafka.bootstrap_servers:
            outcome = asyncio.run(_ask_worker(settings, topic, event, value_format, timeout))
        else:
            outcome = _run_model(settings, value)
    except Rejected as rejected:
        raise CommandError(f"rejected, {rejected}") from None
    if as_json:
        write_json(outcome.model_dump_json())
    else:
        _table(event, outcome).print()
        if isinstance(outcome, Answer) and not outcome.answered and outcome.answers[0].end:
            print_note("not answered: the best score is below min_score")


def _check_format(settings: Settings, value_format: AnswerFormat) -> None:
    if value_format is AnswerFormat.JSON:
        return
    if not settings.kafka.bootstrap_servers:
        raise typer.BadParameter(
            "without KAFKA_BOOTSTRAP_SERVERS no record is written", param_hint="--format"
        )
    if not settings.schema_registry.url:
        raise typer.BadParameter(
            f"{value_format} names a schema of the registry; it needs SCHEMA_REGISTRY_URL",
            param_hint="--format",
        )


async def _encode(
    settings: Settings, topic: str, event: Question | Text, value_format: AnswerFormat
) -> bytes:
    if value_format is AnswerFormat.JSON:
        return event.model_dump_json().encode()
    # The extra `registry` is needed only here.
    from worker.schema_registry.question_format import encode_question

    try:
        return await encode_question(settings, topic, event, value_format)
    except ValueError as error:  # such as an option of more than 64 bits
        detail = " ".join(str(error).split())[:200]
        raise CommandError(f"{value_format} cannot hold the event: {detail}") from None


def _event(
    question: str | None,
    contexts: list[str],
    files: list[Path],
    text: str | None,
    options: ReadingOptions,
) -> Question | Text:
    # `model_construct` skips validation: the worker, or `_run_model`, rejects a bad event, so that
    # the message is the same as that of a dead letter.
    event_id = f"ask-{uuid.uuid4()}"
    if question is not None and text is None:
        passages = _passages(contexts, files)
        several = len(passages) > 1
        return Question.model_construct(
            id=event_id,
            question=question,
            context=None if several else passages[0].text,
            contexts=passages if several else None,
            options=options,
            metadata={},
        )
    nothing_else = question is None and options == ReadingOptions() and not contexts and not files
    if text is not None and nothing_else:
        return Text.model_construct(id=event_id, text=text, metadata={})
    raise typer.BadParameter("give --question with a context, or --text alone")


def _after(seconds: float) -> datetime:
    try:
        return datetime.now(UTC) + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise typer.BadParameter("is after the year 9999", param_hint="--expires-in") from None


def _passages(contexts: list[str], files: list[Path]) -> list[Passage]:
    """The contexts, then those in files; a file's passage has its path as id."""
    if not contexts and not files:
        raise typer.BadParameter("give --context or --context-file, several times for passages")
    if files.count(_STDIN) > 1:
        raise typer.BadParameter("stdin can be read once: give --context-file - once")
    return [
        *(Passage.model_construct(text=text) for text in contexts),
        *(Passage.model_construct(id=str(file), text=_content(file)) for file in files),
    ]


def _content(file: Path) -> str:
    data = sys.stdin.buffer.read() if file == _STDIN else file.read_bytes()
    try:
        return data.decode("utf-8-sig")  # a byte order mark is not text
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not UTF-8: {error.reason}") from None


def _run_model(settings: Settings, value: bytes) -> Outcome:
    """Decode the event and run the model. Raises `Rejected`, `BundleError`."""
    engine = InferenceEngine(
        ModelStore(settings.qa.models).open(settings.qa.model), settings.qa.inference
    )
    envelope = decode_event(
        engine.event_type, value, (), default_id="ask", max_bytes=settings.qa.max_record_bytes
    )
    with engine:
        return engine.submit(envelope.event).result().outcome


async def _ask_worker(
    settings: Settings,
    topic: str | None,
    event: Question | Text,
    value_format: AnswerFormat,
    seconds: float,
) -> Outcome:
    """Send the event to the questions topic and wait for its outcome."""
    topic = topic or settings.qa.questions_topic
    value = await _encode(settings, topic, event, value_format)
    async with QuestionClient.open(settings, questions_topic=topic) as client:
        position = await client.send(value)
        try:
            result = await client.wait_for_result(position, timeout_seconds=seconds)
        except TimeoutError:
            unread = f"; an answer could not be read: {client.unread}" if client.unread else ""
            raise CommandError(
                f"no answer within {seconds:g} s; the event is in "
                f"{position.topic}-{position.partition} at offset {position.offset}: is a worker "
                f"running (`qa-worker run`)? With QA_EXPIRED=drop an expired event has no "
                f"outcome{unread}"
            ) from None
    if result.reason == UNSURE:
        raise CommandError(f"not answered: {result.detail}")
    if result.reason:
        raise CommandError(f"rejected, {result.reason}: {result.detail}")
    assert result.value is not None
    return _OUTCOMES.validate_json(result.value)


def _table(event: Question | Text, outcome: Outcome) -> Table:
    if isinstance(outcome, Embedding):
        table = Table("Model", "Windows", "Dimensions", "Embedding")
        first = ", ".join(f"{number:g}" for number in outcome.embedding[:_SHOWN_DIMENSIONS])
        more = ", …" if outcome.dims > _SHOWN_DIMENSIONS else ""
        table.add_row(outcome.model.name, str(outcome.windows), str(outcome.dims), f"{first}{more}")
        return table
    assert isinstance(event, Question)
    several = ("Passage",) if event.contexts else ()
    table = Table("Score", *several, "Characters", "Answer in its context")
    for span in outcome.answers:
        # A worker before contract 1.2 names no index; it has read the only context.
        index = (span.context_index or 0) if span.end else None
        passage = "" if index is None else f"{index} {span.context_id or ''}".rstrip()
        table.add_row(
            f"{span.score:.4f}",
            *([passage] if several else []),
            f"{span.start}-{span.end}",
            "(no answer)"
            if index is None
            else marked(event.passages[index].text, span.start, span.end),
        )
    return table
