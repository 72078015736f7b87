"""aiokafka's private members are used in three modules only: an upgrade has three places to look.

Checked on the syntax trees of all modules that import aiokafka.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import worker

PACKAGE = Path(worker.__file__).parent
ALLOWED = [
    PACKAGE / "kafka" / f"{name}.py"
    for name in ("_aiokafka", "_aiokafka_records", "_aiokafka_static_member")
]
PUBLIC_BASES = ("aiokafka.abc", "aiokafka.errors", "aiokafka.protocol")
"""Modules whose classes are made for deriving from them."""


def private_uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Lines that read a private member of another object, or derive from one of aiokafka's
    implementation classes, whose private members `self` would then have.
    """
    imported = _imported_from_aiokafka(tree)
    if not imported:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.ClassDef):
            for base in node.bases:
                module = imported.get(ast.unparse(base), "")
                if module and not module.startswith(PUBLIC_BASES):
                    yield node.lineno, f"{node.name}({ast.unparse(base)})"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiokafka"):
            for alias in node.names:
                if _is_private(alias.name):
                    yield node.lineno, f"import {alias.name}"


def _imported_from_aiokafka(tree: ast.Module) -> dict[str, str]:
    """Local name to the module that it comes from."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiokafka"):
            found |= {alias.asname or alias.name: node.module or "" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.asname or a.name: a.name for a in node.names if "aiokafka" in a.name}
    return found


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_private_members_of_aiokafka_are_used_in_three_modules() -> None:
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{line}: {use}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path not in ALLOWED
        for line, use in private_uses(ast.parse(path.read_text()))
    ]
    assert found == []


def test_the_check_finds_what_the_three_modules_do() -> None:
    trees = [ast.parse(path.read_text()) for path in ALLOWED]
    uses = {use for tree in trees for _, use in private_uses(tree)}
    assert {
        "consumer._fetcher",
        "consumer._client",
        "coordinator._group_subscription",
        "client._wait_on_metadata",
        "owner._client",
        "DiagnosticConnection(AIOKafkaConnection)",
        "RecordConsumer(AIOKafkaConsumer)",
    } <= uses
