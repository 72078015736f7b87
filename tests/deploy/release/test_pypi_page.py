"""The description on PyPI: README.md, whose relative links would lead nowhere there."""

import re
from pathlib import Path

from deploy.release.pypi_page import with_links

ROOT = Path(__file__).parents[3]
MARKDOWN = """[a](docs/a.md#b) [site](https://example.org) [here](#here) [mail](mailto:a@b.org)

```
[fenced](x)
```

[folder](docs/)
"""


def test_relative_links_lead_to_the_tag() -> None:
    page = with_links(MARKDOWN, "https://example.com/qa", "v1.0.0")
    assert "[a](https://example.com/qa/blob/v1.0.0/docs/a.md#b)" in page
    assert "[folder](https://example.com/qa/tree/v1.0.0/docs/)" in page
    assert "[site](https://example.org) [here](#here) [mail](mailto:a@b.org)" in page
    assert "\n\n```\n[fenced](x)\n```\n" in page


def test_without_an_address_a_link_becomes_its_text() -> None:
    page = with_links(MARKDOWN, "", "v1.0.0")
    assert page.startswith("a [site](https://example.org) [here](#here)")
    assert page.endswith("\nfolder\n")


def test_the_readme_has_no_relative_link_left() -> None:
    page = with_links((ROOT / "README.md").read_text(), "https://example.com/qa", "v1.0.0")
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len(links) > 10
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
