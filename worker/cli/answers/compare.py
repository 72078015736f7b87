"""`qa-worker answers compare`: the answers of two topics, or files, to the same questions."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from schemas.reply import is_topic_name
from worker.answers.answer import ComparedAnswer
from worker.answers.comparison import Comparison
from worker.answers.gold import GoldScores
from worker.answers.join import Join, JoinKey, Side, join_answers
from worker.answers.sources import AnswerSource, FileAnswers, open_topics
from worker.cli.answers.report import Report
from worker.cli.errors import CommandError
from worker.cli.registry_extra import check_registry_extra
from worker.cli.topic_reading import UnreadableReport, parse_time, progress_bars
from worker.kafka.topic_reader import OnProgress
from worker.model_tools.evaluation.squad import load_squad
from worker.settings.environment import load


def compare(
    left: Annotated[
        str,
        typer.Option(
            metavar="TOPIC|FILE", help="answers in a topic, or in a file of JSON Lines: the base"
        ),
    ],
    right: Annotated[
        str, typer.Option(metavar="TOPIC|FILE", help="the same, of the model that is compared")
    ],
    by: Annotated[
        JoinKey,
        typer.Option(help="what two answers to one question share: its position, or its id"),
    ] = JoinKey.SOURCE,
    sample: Annotated[
        float,
        typer.Option(help="only this share of the ids, as QA_SAMPLE (0 to 1)", show_default=False),
    ] = 1.0,
    since: Annotated[
        str | None,
        typer.Option(
            help="only records of the topics from this time on: ISO 8601, in UTC without a zone"
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="maximum number of pairs")] = None,
    gold: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="SQUAD.json",
            help="score both sides against this file, by the questions' ids",
        ),
    ] = None,
    max_differ: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="exit with 1 if more than this share differs"
        ),
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="number of differences to show")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Compare two models' answers to the same questions."""
    if not 0 < sample <= 1:
        raise typer.BadParameter(
            f"{sample:g} is not a share above 0, up to 1", param_hint="--sample"
        )
    since_ms, topics = parse_time(since, "--since"), _topics(left, right)
    scores = None if gold is None else GoldScores(load_squad(gold))
    comparison = Comparison(shown=show)

    def on_pair(left: ComparedAnswer, right: ComparedAnswer) -> None:
        comparison.add(left, right)
        if scores is not None:
            scores.add(left, right)

    async def run(on_progress: OnProgress) -> Join:
        async with _open(left, right, topics, since_ms) as (one, other):
            return await join_answers(
                one,
                other,
                on_pair,
                key=by,
                sample=sample,
                limit=limit,
                on_progress=on_progress,
            )

    with progress_bars() as on_progress:
        join = asyncio.run(run(on_progress))
    _require_pairs(join, by)
    if scores is not None and not scores.left.total:
        raise CommandError(f"no pair has an id of a question in {gold}: nothing to score with")
    report = Report(join, by, comparison, scores)
    if as_json:
        report.write_json()
    else:
        report.print()
    share = comparison.share_that_differs
    if max_differ is not None and share > max_differ:
        raise CommandError(
            f"{comparison.differ} of {comparison.pairs} pairs differ: a share of {share:.4g}, more "
            f"than --max-differ {max_differ:g}"
        )


def _topics(left: str, right: str) -> list[str]:
    """Those of the two that are not files. Raises `CommandError`."""
    topics = [name for name in dict.fromkeys((left, right)) if not _is_file(Path(name))]
    for name in topics:
        if not is_topic_name(name):
            raise CommandError(f"{name!r} is neither a file nor the name of a topic")
    return topics


def _is_file(path: Path) -> bool:
    """A pipe is one too, as a shell's `<(…)`."""
    return path.exists() and not path.is_dir()


@asynccontextmanager
async def _open(
    left: str, right: str, topics: Sequence[str], since: int | None
) -> AsyncIterator[tuple[AnswerSource, AnswerSource]]:
    """What is not among `topics` is a file."""
    if not topics:
        yield FileAnswers(Path(left)), FileAnswers(Path(right))
        return
    settings = load()
    if settings.kafka.bootstrap_servers is None:
        raise CommandError(
            f"there is no file {topics[0]!r}, and to read a topic KAFKA_BOOTSTRAP_SERVERS is needed"
        )
    check_registry_extra(settings)
    async with open_topics(settings, topics, since, UnreadableReport()) as opened:
        by_name = {topic.topic: topic for topic in opened}
        yield (
            by_name.get(left) or FileAnswers(Path(left)),
            by_name.get(right) or FileAnswers(Path(right)),
        )


def _require_pairs(join: Join, by: JoinKey) -> None:
    """Raises `CommandError`, which says what each side has."""
    if join.pairs:
        return
    sides = "; ".join(_describe(side) for side in (join.left, join.right))
    raise CommandError(
        f"no pair of answers with the same {by}: {sides}. Both must have answered the same "
        f"questions{' of the same topic (or join --by id)' * (by is JoinKey.SOURCE)}"
    )


def _describe(side: Side) -> str:
    parts = [f"{side.name} has {side.answers} answers"]
    if side.out_of_sample:
        parts.append(f"{side.out_of_sample} out of the sample")
    if side.not_answers:
        parts.append(f"{side.not_answers} records that are not answers ({side.first_problem})")
    return ", ".join(parts)
