"""The ACLs that security.md lists: the source of Strimzi's users and of the tests' grants."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_DOCUMENT = Path(__file__).with_name("security.md")


@dataclass(frozen=True, slots=True)
class DocumentedAcl:
    """One line `acls ...` of the document, with the default names of topics and group."""

    resource_option: str
    """`--topic`, `--group`, `--transactional-id` or `--cluster`."""
    name: str
    operation: str
    """As `kafka-acls` has it, such as `DescribeConfigs`."""
    prefixed: bool


def documented_acls(heading: str) -> list[DocumentedAcl]:
    """The ACLs below the comment `# heading`, such as `# run`. Raises `ValueError` without it."""
    text = _DOCUMENT.read_text("utf-8")
    match = re.search(rf"^# {re.escape(heading)}\n((?:acls .*\n)+)", text, re.MULTILINE)
    if match is None:
        raise ValueError(f"deploy/security.md has no ACLs below '# {heading}'")
    return [_parse(shlex.split(line)[1:]) for line in match[1].splitlines()]


def _parse(words: list[str]) -> DocumentedAcl:
    options = dict(zip(words[::2], words[1::2], strict=True))
    operation = options.pop("--operation")
    prefixed = options.pop("--resource-pattern-type", "literal") == "prefixed"
    ((resource_option, name),) = options.items()
    return DocumentedAcl(resource_option, name, operation, prefixed)
