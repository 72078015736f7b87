"""How the hub identifies the content of files: git blob ids, and SHA-256 sums of large files."""

import hashlib
from typing import Any

LARGE_FILES = (".onnx", ".safetensors", ".bin")
"""Suffixes of the files that the hub keeps in its large-file storage (LFS)."""


def tree_entry(name: str, content: bytes) -> dict[str, Any]:
    """Returns a file's entry in the hub's tree listing."""
    entry: dict[str, Any] = {
        "type": "file",
        "path": name,
        "size": len(content),
        "oid": git_blob_id(content),
    }
    if name.endswith(LARGE_FILES):
        entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
    return entry


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
