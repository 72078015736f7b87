"""The ACLs that deploy/security.md lists."""

import re
import shlex
from pathlib import Path

from tests.security.acls import Acl, acl
from worker.settings import Settings

_DOCUMENT = Path(__file__).parents[2] / "deploy" / "security.md"


def documented_acls(heading: str, settings: Settings) -> list[Acl]:
    """Returns the ACLs below the comment `# heading`, such as `# run`.

    Default names of topics and groups are replaced by those in `settings`.
    """
    text = _DOCUMENT.read_text()
    match = re.search(rf"^# {re.escape(heading)}\n((?:acls .*\n)+)", text, re.MULTILINE)
    assert match is not None, heading
    return [_acl(shlex.split(line)[1:], settings) for line in match[1].splitlines()]


def _acl(words: list[str], settings: Settings) -> Acl:
    options = dict(zip(words[::2], words[1::2], strict=True))
    operation = options.pop("--operation")
    prefixed = options.pop("--resource-pattern-type", "literal") == "prefixed"
    ((resource_option, name),) = options.items()
    return acl(resource_option, _actual_name(name, settings), operation, prefixed=prefixed)


def _actual_name(default_name: str, settings: Settings) -> str:
    """Returns the name in `settings` for a default name of the document."""
    qa, group = settings.qa, settings.kafka.group_id
    names = {
        "qa.questions": qa.questions_topic,
        "qa.answers": qa.answers_topic,
        "qa.answers.shadow": f"{qa.answers_topic}.shadow",
        "qa.questions.dead": qa.dead_letters_topic,
        "qa.unsure": qa.unsure_topic or "",
        "replies-": f"{qa.answers_topic}-replies-",
        "qa-worker": group,
        "qa-worker:qa.questions:": f"{group}:{qa.questions_topic}:",
        "qa-worker-dead-letters-replay": f"{group}-dead-letters-replay",
    }
    return names[default_name]
