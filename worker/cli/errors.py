"""The error of a command that could not do its work."""


class CommandError(Exception):
    """A command cannot do what was asked. The message is one line that says what to change."""
