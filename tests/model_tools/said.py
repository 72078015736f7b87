"""What an error says, in its one line."""

import pytest

from worker.models.bundle import BundleError


def said_by(error: pytest.ExceptionInfo[BundleError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message
