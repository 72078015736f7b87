"""`python -m tests.faults --seed N --rounds N --faults-per-round N`: injects faults, prints tables.

The exit code is 1 if the checker found anything. The same seed gives the same faults in the same
order, at slightly different times.
"""

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.faults.cluster import Cluster
from tests.faults.failpoints import POINTS
from tests.faults.report import figures, tables
from tests.faults.rounds import Plan, Round, run_round
from tests.faults.sabotage import SABOTAGES
from tests.faults.schedule import GUEST_SLOT, Fault, Kind, schedule, static_slots

ASSIGNORS = ("roundrobin", "range", "sticky")
"""Rounds take turns with them."""

TOPICS = (2, 2, 1, 1)
"""Number of questions topics of the rounds, in turns: over twelve rounds with each assignor."""

console = Console(highlight=False)


def main() -> None:
    arguments = _arguments()
    seed = random.randrange(1_000_000) if arguments.seed is None else arguments.seed
    logs = Path(tempfile.mkdtemp(prefix="qa-worker-faults-"))
    # Clients of a faulty cluster log too much for the terminal.
    logging.basicConfig(filename=logs / "driver.log", format="%(asctime)s %(name)s %(message)s")
    plan = Plan(
        delivery=arguments.delivery,
        engine=arguments.engine,
        rate=arguments.rate,
        questions=arguments.questions_per_round,
        sabotage=arguments.sabotage,
        logs=logs,
    )
    console.print(f"seed {seed}, {arguments.delivery}; logs of the workers: {logs}")
    rounds = asyncio.run(_run(plan, seed, arguments))
    for table in tables(rounds, arguments.delivery):
        console.print(table)
    summary = figures(rounds)
    if arguments.report:
        arguments.report.write_text(json.dumps({"seed": seed, **summary}, indent=1) + "\n")
    found = [(number, r.report.findings) for number, r in enumerate(rounds) if r.report.findings]
    for number, findings in found:
        for name, what in findings.items():
            console.print(f"round {number}: {name}: {len(what)}, for example {'; '.join(what[:5])}")
    if found:
        console.print(f"repeat with --seed {seed}; logs: {logs}")
        sys.exit(1)


async def _run(plan: Plan, seed: int, arguments: argparse.Namespace) -> list[Round]:
    rounds: list[Round] = []
    async with Cluster(GUEST_SLOT + 1) as cluster:
        without = []
        if cluster.disk is None:
            without.append(Kind.DISK_FULL)
            console.print(f"left out: {Kind.DISK_FULL}: {cluster.why_no_disk}")
        each: int = arguments.faults_per_round
        faults = schedule(
            seed,
            arguments.rounds * each,
            delivery=plan.delivery,
            mean_pause=arguments.questions_per_round / each / plan.rate,
            without=without,
        )
        with _progress() as progress:
            bar = progress.add_task("faults", total=len(faults))
            for number in range(arguments.rounds):
                its: list[Fault] = faults[number * each : (number + 1) * each]
                result = await run_round(
                    cluster,
                    plan,
                    its,
                    lambda: progress.advance(bar),
                    assignor=ASSIGNORS[number % len(ASSIGNORS)],
                    topics=TOPICS[number % len(TOPICS)],
                    static=static_slots(seed, number),
                )
                rounds.append(result)
                console.print(_line(number, result))
    return rounds


def _line(number: int, result: Round) -> str:
    report = result.report
    found = ", ".join(f"{name} {len(what)}" for name, what in report.findings.items())
    return (
        f"round {number}: {report.questions} questions, {report.repeated} repeated, "
        f"{report.aborted} aborted, {len(result.exits)} exits, "
        f"drained in {result.drained_after:.1f} s; found {found or 'nothing'}"
    )


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console, refresh_per_second=2)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="default: a random seed, which is printed")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--faults-per-round", type=int, default=25)
    parser.add_argument("--questions-per-round", type=int, default=8_500)
    parser.add_argument("--rate", type=float, default=120.0, help="questions per second")
    parser.add_argument("--delivery", choices=list(POINTS), default="exactly_once")
    parser.add_argument("--engine", choices=["stub", "model"], default="stub")
    parser.add_argument("--sabotage", choices=list(SABOTAGES))
    parser.add_argument("--report", type=Path, help="write the figures to this file, as JSON")
    arguments = parser.parse_args()
    if arguments.sabotage and arguments.delivery != "exactly_once":
        parser.error("--sabotage needs --delivery exactly_once")
    return arguments


if __name__ == "__main__":
    main()
