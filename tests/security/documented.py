"""The ACLs that deploy/security.md lists."""

import re
import shlex
from pathlib import Path

from tests.security.acls import Acl, acl
from worker.settings import Settings

_DOCUMENT = Path(__file__).parents[2] / "deploy" / "security.md"


def documented(use: str, settings: Settings) -> list[Acl]:
    """The ACLs under the comment `# use`, with the names of `settings` in place of the defaults."""
    text = _DOCUMENT.read_text()
    found = re.search(rf"^# {re.escape(use)}\n((?:acls .*\n)+)", text, re.MULTILINE)
    assert found is not None, use
    return [_acl(shlex.split(line)[1:], settings) for line in found[1].splitlines()]


def _acl(words: list[str], settings: Settings) -> Acl:
    options = dict(zip(words[::2], words[1::2], strict=True))
    operation = options.pop("--operation")
    prefixed = options.pop("--resource-pattern-type", "literal") == "prefixed"
    ((kind, name),) = options.items()
    return acl(kind, _named(name, settings), operation, prefixed=prefixed)


def _named(name: str, settings: Settings) -> str:
    """The name in `settings` for a default name of the document."""
    qa, group = settings.qa, settings.kafka.group_id
    here = {
        "qa.questions": qa.questions_topic,
        "qa.answers": qa.answers_topic,
        "qa.questions.dead": qa.dead_letters_topic,
        "qa-worker": group,
        "qa-worker:qa.questions:": f"{group}:{qa.questions_topic}:",
        "qa-worker-dead-letters-replay": f"{group}-dead-letters-replay",
    }
    return here[name]
