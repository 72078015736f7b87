"""The ACLs that deploy/security.md lists."""

from deploy import documented_acls as document
from tests.security.acls import Acl, acl
from worker.settings import Settings


def documented_acls(heading: str, settings: Settings) -> list[Acl]:
    """Returns the ACLs below the comment `# heading`, such as `# run`.

    Default names of topics and groups are replaced by those in `settings`.
    """
    return [
        acl(
            each.resource_option,
            _actual_name(each.name, settings),
            each.operation,
            prefixed=each.prefixed,
        )
        for each in document.documented_acls(heading)
    ]


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
