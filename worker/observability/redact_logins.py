"""At the level of debug the client library logs every request as it is, logins with their passwords
and tokens among them. Those lines are held back.
"""

import logging
from collections.abc import Iterable

_LIBRARY = "aiokafka.conn"

_SASL_AUTHENTICATE = 36
"""The request's API key (KIP-152). Its answers are held back with it."""


class RedactSasl(logging.Filter):
    """Lets everything through but requests and answers of logins."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name != _LIBRARY or not isinstance(record.args, Iterable):
            return True
        keys = (getattr(argument, "API_KEY", None) for argument in record.args)
        return _SASL_AUTHENTICATE not in keys
