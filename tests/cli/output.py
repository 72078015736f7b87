"""Parses the output of a command: the rows of its table, or its error line."""

from tests.forked import Done


def rows(out: str) -> dict[str, str]:
    """First to second cell of each row of a table without a header."""
    lines = [line.split("│") for line in out.splitlines() if line.startswith("│")]
    return {line[1].strip(): line[2].strip() for line in lines}


def complaint(done: Done) -> str:
    """The error line of a command that exited with 1 and printed nothing to stdout."""
    assert (done.code, done.out) == (1, "")
    return line(done)


def line(done: Done) -> str:
    """The last line of stderr. Lines before it may only be those of a progress bar."""
    *bar, last = done.err.splitlines()
    assert all(each.startswith("reading ") for each in bar)
    assert last.startswith("qa-worker: ")
    return last.removeprefix("qa-worker: ")
