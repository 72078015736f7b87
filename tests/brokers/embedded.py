"""The worker's own broker for a machine that has none, as one more way to get a broker."""

import importlib.util

from worker.kafka.dev_broker import EmbeddedBroker


def why_no_embedded() -> str | None:
    return None if importlib.util.find_spec("noida_db") else "noida-db is not installed"


class EmbeddedKafka(EmbeddedBroker):
    name = "embedded"
    is_apache = False
