"""Output of the commands: for programs (`write_json`), and for people (all other functions).

The only module of the commands that writes to stdout and stderr, and that imports rich;
`tests/cli/test_output.py` checks this. Output for programs passes no formatter.
Output for people shows each character as it is, and control characters escaped (`printable`).
"""

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich import table as rich_table
from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from worker.observability.printable import printable, printable_json

_PIPED_WIDTH = 140
"""Columns of a pipe or a file, which have no width. rich would assume 80."""


def _console(*, stderr: bool = False) -> Console:
    # Without `emoji=False` rich prints `chr7:100:200` as `chr7💯200`.
    console = Console(stderr=stderr, emoji=False, markup=False, highlight=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    return console


out = _console()
err = _console(stderr=True)

_CONTEXT_CHARACTERS = 60
"""Characters of the context on each side of an answer."""

_SPACES = str.maketrans("\t\n\r", "   ")


def write_json(document: str) -> None:
    """Write one JSON document and a line feed to stdout, in UTF-8 whatever the locale says. What
    parsers read is unchanged; C1 and bidirectional controls stand as JSON escapes.
    """
    with _exit_if_pipe_is_closed(sys.stdout):
        sys.stdout.flush()  # what was printed before comes first
        sys.stdout.buffer.write(printable_json(document).encode() + b"\n")
        sys.stdout.buffer.flush()


def print_line(text: str) -> None:
    """Print one line for people on stdout."""
    _write(sys.stdout, printable(text))


def print_lines(text: str) -> None:
    """Print a text for people on stdout, with its own line feeds and tabs."""
    _write(sys.stdout, printable(text, lines=True))


def print_note(text: str) -> None:
    """Print one line for people on stderr: a note, an error, a count."""
    _write(sys.stderr, printable(text))


class Table:
    """A table for people on stdout. Its cells are texts, not markup."""

    def __init__(self, *headings: str, title: str = "", unbroken: Collection[str] = ()) -> None:
        """Without `headings` the table has no head. Cells of the columns `unbroken` stay on one
        line, so that they can be copied, if the terminal has room; a pipe always has.
        """
        self._table = rich_table.Table(
            title=Text(printable(title)) if title else None, show_header=bool(headings)
        )
        for heading in headings:
            # rich's default cuts off the end of a long word.
            self._table.add_column(Text(heading), overflow="fold")
        self._unbroken = [number for number, heading in enumerate(headings) if heading in unbroken]

    def add_row(self, *cells: str | Text, style: str | None = None) -> None:
        """A `Text` comes from `marked`; `style` is a style of rich for the whole row."""
        for _ in cells[len(self._table.columns) :]:
            self._table.add_column(overflow="fold")
        self._table.add_row(
            *(cell if isinstance(cell, Text) else Text(printable(cell)) for cell in cells),
            style=style,
        )

    def print(self) -> None:
        """Print the rows that were added."""
        half = out.width // 2
        wider = 0
        for column in (self._table.columns[number] for number in self._unbroken):
            longest = max((cell_len(str(cell)) for cell in column.cells), default=0)
            if out.width == _PIPED_WIDTH:
                wider += max(0, longest - half)
            # rich cuts off what has no room and may not be wrapped.
            column.no_wrap = longest <= half + wider
        out.print(self._table, width=out.width + wider)


def progress() -> Progress:
    """A progress bar on stderr, so that stdout can be piped."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        # Each redraw takes milliseconds of CPU time from inference.
        refresh_per_second=2,
    )


def marked(context: str, start: int, end: int) -> Text:
    """The span `context[start:end]` between ▸ and ◂, in colour, with the context around it."""
    text = Text()
    left = max(0, start - _CONTEXT_CHARACTERS)
    right = min(len(context), end + _CONTEXT_CHARACTERS)
    text.append("…" if left else "")
    text.append(_one_line(context[left:start]))
    text.append(f"▸{_one_line(context[start:end])}◂", style="bold black on green")
    text.append(_one_line(context[end:right]))
    text.append("…" if right < len(context) else "")
    return text


def replace_what_stdout_cannot_encode() -> None:
    """From now on a character that the encoding of stdout lacks is printed as `\\u20ac`, as stderr
    does. Python's default ends the command.
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _one_line(text: str) -> str:
    return printable(text.translate(_SPACES))


def _write(stream: TextIO, text: str) -> None:
    with _exit_if_pipe_is_closed(stream):
        stream.write(text + "\n")
        stream.flush()


@contextmanager
def _exit_if_pipe_is_closed(stream: TextIO) -> Iterator[None]:
    """Exit with 1 if the reader of a pipe has gone, as in `qa-worker … | head`; rich does the same.
    Raises `SystemExit`.
    """
    try:
        yield
    except BrokenPipeError:
        # What is still buffered would fail again when the interpreter exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise SystemExit(1) from None
