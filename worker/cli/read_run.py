"""What an output of `qa-worker read` was made from, and how far it is: `OUT.run.json` and `OUT`.

A run goes on with an output only if the file says that input, model and settings are the same: else
one output would hold answers of two models, or to questions that the input no longer has.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import typer
from pydantic import BaseModel, ConfigDict, ValidationError

from worker.models.manifest import Manifest
from worker.settings.worker import WorkerSettings

_CHANGE_NO_OUTCOME = {
    "threads",
    "providers",
    "provider_fallback",
    "max_batch_tokens",
    "max_padding",
}
"""Options of the engine that change its speed alone. The provider that runs counts by itself."""


@dataclass(frozen=True, slots=True)
class Done:
    """The complete lines of an output."""

    lines: int = 0
    rejected: int = 0
    first_rejected: str = ""
    """The first rejection in words, as `describe` gives it."""
    length: int = 0
    """In bytes."""


class ReadRun(BaseModel):
    """The content of `OUT.run.json`."""

    model_config = ConfigDict(frozen=True)

    input_sha256: str
    model: dict[str, Any]
    """The manifest, without recorded scores."""
    provider: str
    settings: dict[str, Any]
    """Names of environment variables, and their values."""

    @classmethod
    def of(
        cls, content: bytes, manifest: Manifest, provider: str, settings: WorkerSettings
    ) -> Self:
        """`content` is that of the input; `provider` runs the model."""
        options = settings.inference.model_dump(mode="json", exclude=_CHANGE_NO_OUTCOME)
        options["max_record_bytes"] = settings.max_record_bytes
        return cls(
            input_sha256=hashlib.sha256(content).hexdigest(),
            model=manifest.model_dump(mode="json", exclude={"scores"}),
            provider=provider,
            settings={f"QA_{name.upper()}": value for name, value in options.items()},
        )

    @property
    def _without_calibration(self) -> dict[str, Any]:
        return {name: value for name, value in self.model.items() if name != "calibration"}

    def difference(self, other: "ReadRun") -> str:
        """What differs, in words; empty if nothing does."""
        if self.input_sha256 != other.input_sha256:
            return "the input has changed"
        if self.model != other.model:
            before, after = self.model.get("name"), other.model.get("name")
            if before == after and self._without_calibration == other._without_calibration:
                return f"the calibration of the model {before} has changed"
            if before == after:
                return f"the files of the model {before} have changed"
            return f"the model was {before}, now {after}"
        if self.provider != other.provider:
            return f"the execution provider was {self.provider}, now {other.provider}"
        changed = [
            f"{name} was {_shown(before)}, now {_shown(after)}"
            for name in sorted({*self.settings, *other.settings})
            if (before := self.settings.get(name)) != (after := other.settings.get(name))
        ]
        return ", ".join(changed)


@contextmanager
def open_output(target: Path, run: ReadRun, events: int) -> Iterator[tuple[BinaryIO, Done]]:
    """Open `target` to add the outcomes that are missing; yields it, and what it already has.

    `events` is their number in the input. An empty or missing file is begun, and `run` is written
    beside it. Raises `typer.BadParameter` for every other file that is not an output of `run`;
    `OSError`.
    """
    record = target.with_name(f"{target.name}.run.json")
    with target.open("ab") as output:
        try:
            # Released when the file is closed, also by SIGKILL.
            fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(target, "another `qa-worker read` writes it now") from None
        if output.tell():
            _check(record, run, target)
            done = _complete_lines(target, events)
        else:
            _write(record, run)
            done = Done()
        output.truncate(done.length)
        yield output, done


def describe(rejected_line: Mapping[str, Any]) -> str:
    """A rejection of an output in words: its line in the input, reason and detail."""
    rejected = rejected_line["rejected"]
    return f"line {rejected_line['line']}: {rejected['reason']}: {rejected['detail']}"


def _check(record: Path, run: ReadRun, target: Path) -> None:
    try:
        difference = ReadRun.model_validate_json(record.read_bytes()).difference(run)
    except FileNotFoundError:
        difference = f"{record} is missing, which says what it was made from"
    except ValidationError:
        difference = f"{record} does not say what it was made from"
    if difference:
        raise _refusal(target, difference)


def _complete_lines(target: Path, events: int) -> Done:
    lines = rejected = length = 0
    first_rejected = ""
    with target.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            try:
                outcome = json.loads(line)
                if "rejected" in outcome:
                    rejected += 1
                    first_rejected = first_rejected or describe(outcome)
                outcome["id"]
            except (ValueError, KeyError, TypeError):
                raise _refusal(target, f"its line {lines + 1} is not an outcome") from None
            lines += 1
            length += len(line)
    if lines > events:
        raise _refusal(target, f"it has {lines} lines for {events} events")
    return Done(lines, rejected, first_rejected, length)


def _write(record: Path, run: ReadRun) -> None:
    # Renamed when it is complete, so that a run that is killed here leaves no part of it.
    part = record.with_name(f"{record.name}.part")
    part.write_text(run.model_dump_json(indent=2) + "\n", "utf-8")
    os.replace(part, record)  # noqa: PTH105


def _shown(value: Any) -> str:
    return "not set" if value is None else json.dumps(value).strip('"')


def _refusal(target: Path, why: str) -> typer.BadParameter:
    return typer.BadParameter(
        f"{target} exists, and this run cannot go on with it: {why}; delete it, or name another "
        f"file with --out"
    )
