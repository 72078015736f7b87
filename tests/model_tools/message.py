"""The message of an error, checked to be one line."""

import pytest

from worker.models.bundle import BundleError


def message_of(error: pytest.ExceptionInfo[BundleError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message
