"""Strimzi's KafkaTopic and KafkaUser resources, with the default names of topics and group.

Topics are those of `qa-worker topics create`. The rights of a user are the ACLs of security.md.
"""

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from deploy.documented_acls import DocumentedAcl, documented_acls
from worker.cli.topics import create
from worker.kafka.topics import MAX_MESSAGE_BYTES, new_topic_limits
from worker.settings.environment import load

Resource = dict[str, Any]

DIRECTORY = Path(__file__).parents[1]

USERS = {
    "qa-worker": (
        "run",
        "run, exactly once",
        "run, with topics that take more than Kafka's default of 1 MiB",
    ),
    "qa-client": ("ask",),
    "qa-operator": ("dead-letters list, show", "dead-letters replay", "topics check"),
}
"""User to the headings of security.md whose ACLs it has."""

_CLUSTER = "my-cluster"
"""Name of the Kafka resource in Strimzi's examples; kustomization.yaml of a user replaces it."""

_RESOURCES = {"--topic": "topic", "--group": "group", "--transactional-id": "transactionalId"}


def files() -> dict[Path, str]:
    """Path to content."""
    topics, users = _topics(), [_user(name, headings) for name, headings in USERS.items()]
    return {
        DIRECTORY / "kafkatopics.yaml": _text("The topics of `qa-worker topics create`.", topics),
        DIRECTORY / "kafkausers.yaml": _text("The users, with the ACLs of security.md.", users),
    }


def _topics() -> list[Resource]:
    defaults = inspect.signature(create).parameters
    return [
        _resource(
            "KafkaTopic",
            name,
            {
                "partitions": defaults["partitions"].default,
                "replicas": defaults["replication_factor"].default,
                "config": {MAX_MESSAGE_BYTES: limit},
            },
        )
        for name, limit in new_topic_limits(load({})).items()
    ]


def _user(name: str, headings: Iterable[str]) -> Resource:
    acls: dict[tuple[str, str, bool], list[str]] = {}
    for acl in (acl for heading in headings for acl in documented_acls(heading)):
        operations = acls.setdefault(_key(acl), [])
        if acl.operation not in operations:
            operations.append(acl.operation)
    rules = [_rule(*key, operations) for key, operations in acls.items()]
    specification = {
        "authentication": {"type": "scram-sha-512"},
        "authorization": {"type": "simple", "acls": rules},
    }
    return _resource("KafkaUser", name, specification)


def _key(acl: DocumentedAcl) -> tuple[str, str, bool]:
    return _RESOURCES[acl.resource_option], acl.name, acl.prefixed


def _rule(kind: str, name: str, prefixed: bool, operations: list[str]) -> Resource:
    pattern = "prefix" if prefixed else "literal"
    return {
        "resource": {"type": kind, "name": name, "patternType": pattern},
        "operations": operations,
    }


def _resource(kind: str, name: str, specification: Resource) -> Resource:
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"strimzi.io/cluster": _CLUSTER}},
        "spec": specification,
    }


def _text(comment: str, resources: list[Resource]) -> str:
    head = f"# {comment} Written by `make generate`.\n"
    return head + yaml.safe_dump_all(resources, sort_keys=False)
