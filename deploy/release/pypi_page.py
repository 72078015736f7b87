"""The project's page on PyPI, as a build hook of hatchling: README.md with links that work there.

PyPI resolves no relative links. The environment variable `RELEASE_REPOSITORY` has the address of
the repository, such as `https://github.com/acme/qa-worker`; the links then lead to the files at the
version's tag. Without it a link becomes its text, since the project has no address of its own.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_FENCE = re.compile(r"(^ *```.*?^ *```)", re.MULTILINE | re.DOTALL)
_RELATIVE_LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)\s]+)\)")


class PypiPage(MetadataHookInterface):
    """Sets the fields `readme` and `urls` of the package's metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        repository = os.environ.get("RELEASE_REPOSITORY", "").rstrip("/")
        text = Path(self.root, "README.md").read_text("utf-8")
        page = with_links(text, repository, f"v{metadata['version']}")
        metadata["readme"] = {"content-type": "text/markdown", "text": page}
        if repository:
            metadata["urls"] = {
                "Source": repository,
                "Issues": f"{repository}/issues",
                "Changelog": f"{repository}/blob/v{metadata['version']}/CHANGELOG.md",
            }


def with_links(markdown: str, repository: str, tag: str) -> str:
    """Returns the text with absolute links in place of relative ones, outside of code blocks.

    `repository` is an address without a slash at its end; if it is empty, the text of each relative
    link takes the link's place.
    """

    def replace(link: re.Match[str]) -> str:
        text, path = link.groups()
        view = "tree" if path.endswith("/") else "blob"
        return f"[{text}]({repository}/{view}/{tag}/{path})" if repository else text

    # The parts at odd indices are code blocks.
    parts = _FENCE.split(markdown)
    parts[::2] = [_RELATIVE_LINK.sub(replace, part) for part in parts[::2]]
    return "".join(parts)
