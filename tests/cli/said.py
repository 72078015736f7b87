"""What a command said: the rows of its table, or its one line of complaint."""

from tests.cli.conftest import Done


def rows(out: str) -> dict[str, str]:
    """First cell to second, of every row of a table without a head."""
    lines = [line.split("│") for line in out.splitlines() if line.startswith("│")]
    return {line[1].strip(): line[2].strip() for line in lines}


def complaint(done: Done) -> str:
    """Of a command that failed before it had anything to show."""
    assert (done.code, done.out) == (1, "")
    return line(done)


def line(done: Done) -> str:
    """The last one on stderr; what stands before it is a progress bar."""
    *bar, said = done.err.splitlines()
    assert all(each.startswith("reading ") for each in bar)
    assert said.startswith("qa-worker: ")
    return said.removeprefix("qa-worker: ")
