"""What deploy/Dockerfile says, before it is followed."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.dockerfile import DOCKERFILE, Stage, read_stages
from tests.tools import tool
from worker import __version__
from worker.settings.environment import load

TEXT = DOCKERFILE.read_text()
CONTEXT = DOCKERFILE.parent.parent


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    return read_stages(TEXT)


def test_the_linter_is_content(tmp_path: Path) -> None:
    linter = tool("hadolint")
    done = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    worse = tmp_path / "Dockerfile"
    worse.write_text(TEXT.replace("USER 65532:65532", "USER root"))
    assert subprocess.run([linter, worse], capture_output=True).returncode == 1


def test_the_base_is_pinned_by_its_content(stages: list[Stage]) -> None:
    (base,) = {stage.base for stage in stages}
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)
    assert read_stages(TEXT, {"PYTHON": "python:3.11-slim"})[0].base == "python:3.11-slim"


def test_it_runs_as_nobody_and_takes_signals_itself(stages: list[Stage]) -> None:
    final = stages[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", final.last("USER").rest)
    assert final.last("STOPSIGNAL").rest == "SIGTERM"
    for name in ("ENTRYPOINT", "CMD"):
        assert final.last(name).rest.startswith("["), "a shell before it would keep the signals"
    assert final.last("EXPOSE").rest == str(load({}).qa.http_port)


def test_it_says_what_it_is(stages: list[Stage]) -> None:
    labels = stages[-1].last("LABEL").pairs
    named = {name.removeprefix("org.opencontainers.image.") for name in labels}
    assert named == {"title", "description", "version", "revision", "created", "licenses"}
    assert f'ARG VERSION="{__version__}"' in TEXT


def test_what_is_copied_is_in_the_context_and_nothing_else_is(stages: list[Stage]) -> None:
    lines = Path(f"{DOCKERFILE}.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for stage in stages
        for step in stage.instructions
        if step.name == "COPY" and "from" not in step.flags
        for source in step.words[:-1]
    }
    assert let_in == copied
    assert all((CONTEXT / path).exists() for path in copied)


@pytest.mark.parametrize("line", ["ADD a b", "FROM x\nRUN <<EOF"])
def test_a_step_that_could_not_be_followed_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not known here"):
        read_stages(line)
