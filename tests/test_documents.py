"""The documents name only what exists: files, headings, make targets and programs."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(
            path
            for folder in (".github", "deploy", "schemas", "tests", "worker")
            for path in (ROOT / folder).rglob("*.md")
        ),
    ]
)
README_MAX_BYTES = 9_000
"""Read in ten minutes. What is longer belongs into the README of the folder it is about."""

_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_MAKE = re.compile(r"(?:^ *|[`;&$] ?)make +(?!-)([a-z][a-z0-9.-]*)", re.MULTILINE)
_PATH = re.compile(r"`([\w./-]+/[\w.-]+\.py)`")
_PROGRAM = re.compile(r"python -m ((?:tests|worker|schemas|deploy)[\w.]*)")


@cache
def anchors(document: Path) -> frozenset[str]:
    """GitHub's: lower case, punctuation dropped, spaces to hyphens."""
    headings = _HEADING.findall(_FENCE.sub("", document.read_text()))
    return frozenset(
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        for heading in headings
    )


def broken_links(document: Path, root: Path = ROOT) -> Iterator[str]:
    """Relative links to what is not in the repository, and to headings that are not there."""
    for link in _LINK.findall(_CODE.sub("", _FENCE.sub("", document.read_text()))):
        path, _, anchor = link.partition("#")
        if ":" in path:
            continue  # another site
        target = (document.parent / path).resolve() if path else document
        exists = target.exists() and target.is_relative_to(root)
        if not exists or (anchor and anchor not in anchors(target)):
            yield link


def unknown_targets(text: str, makefile: str) -> set[str]:
    """Targets that the document's code names and the Makefile has not."""
    targets = set(re.findall(r"^([a-z][\w.-]*):", makefile, re.MULTILINE))
    code = "\n".join([*_FENCE.findall(text), *_CODE.findall(text)])
    return set(_MAKE.findall(code)) - targets


def missing_files(document: Path) -> set[str]:
    """Python files that the document names, from its own folder, the root or `worker/`."""
    places = (document.parent, ROOT, ROOT / "worker")
    paths = set(_PATH.findall(document.read_text()))
    return {path for path in paths if not any((place / path).exists() for place in places)}


def missing_programs(text: str) -> set[str]:
    """Modules that the document says to run with `python -m` and that do not exist."""

    def exists(module: str) -> bool:
        path = ROOT.joinpath(*module.split("."))
        return path.with_suffix(".py").exists() or (path / "__main__.py").exists()

    return {module for module in _PROGRAM.findall(text) if not exists(module)}


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").stat().st_size <= README_MAX_BYTES


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_targets_and_programs_exist(document: Path) -> None:
    text = document.read_text()
    assert list(broken_links(document)) == []
    assert unknown_targets(text, (ROOT / "Makefile").read_text()) == set()
    assert missing_programs(text) == set()
    assert missing_files(document) == set()


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(
        "[a](missing.md) [b](#nowhere) [c](https://example.org) [d](#here)\n# Here\n"
    )
    assert list(broken_links(document, tmp_path)) == ["missing.md", "#nowhere"]


def test_a_file_that_was_renamed_is_found(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("`streaming/session.py`, `tests/conftest.py` and `streaming/lane.py`\n")
    assert missing_files(document) == {"streaming/lane.py"}


def test_an_unknown_target_and_program_are_found() -> None:
    text = "`make demo` and `make lunch`\n```sh\nmake test  # all\n```\n`python -m tests.nothing`"
    assert unknown_targets(text, "demo: x\ntest: y\n") == {"lunch"}
    assert missing_programs(text) == {"tests.nothing"}
