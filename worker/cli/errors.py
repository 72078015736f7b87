"""The error of a command that cannot do what it was asked."""


class CommandError(Exception):
    """One line that says why a command failed and what to do; printed on stderr, exit code 1.

    For failures that are not the worker's (`StreamingError`) and not of one option
    (`typer.BadParameter`).
    """
