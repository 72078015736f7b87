"""Accessibility of the page: widths, colours, names, motion."""

import json

import pytest
from playwright.async_api import Page, expect

from tests.console.browser import (
    EMOJI,
    QUESTION,
    ConsolePage,
    result,
)
from tests.tools import tool_file

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.process,
    pytest.mark.tools,
]


async def test_page_fits_every_width(console: ConsolePage) -> None:
    page = console.page
    await console.ask("Who wrote it?", f"It was written by Ada{'bcde' * 24} in 1843.")
    await expect(page.get_by_role("region", name="Trace of the record")).to_be_visible()
    for width in (360, 768, 1080, 1440):
        await page.set_viewport_size({"width": width, "height": 740})
        outside = await page.evaluate(
            """() => [...document.querySelectorAll("body *")]
                .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5)
                .filter((element) => !element.closest(".visually-hidden"))
                .map((element) => element.outerHTML.slice(0, 80))"""
        )
        assert (width, outside) == (width, [])
        assert await page.evaluate("document.scrollingElement.scrollWidth") <= width


async def test_axe_finds_no_violations_light_and_dark(console: ConsolePage) -> None:
    """Runs axe-core on the page with an answer, with a rejection, and without a token."""
    page = console.page
    await page.get_by_role("button", name="Add a passage").click()
    await page.get_by_label("Passage 2", exact=True).fill("It rained.")
    await console.ask(QUESTION, EMOJI)
    await expect(page.locator("mark")).to_be_visible()
    assert await violations(page) == []
    await console.ask(" ", EMOJI)
    await expect(result(page)).to_contain_text("Rejected")
    assert await violations(page) == []
    # Before the page's own scripts run: they would poll once more, and be refused.
    await page.add_init_script("sessionStorage.clear()")
    await page.reload()
    await expect(page.get_by_role("textbox", name="Token")).to_be_visible()
    assert await violations(page) == []


async def violations(page: Page) -> list[str]:
    """Returns axe-core's violations: all rules in the light scheme, contrast in the dark one."""
    axe = tool_file("node/node_modules/axe-core/axe.min.js").read_text()
    await page.evaluate(f"() => {{ {axe} }}")
    light = await page.evaluate("axe.run()")
    await page.emulate_media(color_scheme="dark")
    background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, background.removeprefix("rgb(").removesuffix(")").split(","))) < 200
    dark = await page.evaluate("axe.run({ runOnly: ['color-contrast'] })")
    await page.emulate_media(color_scheme="light")
    assert light["passes"]
    assert dark["passes"]
    return [
        json.dumps([violation["id"], [node["html"] for node in violation["nodes"]]])
        for violation in [*light["violations"], *dark["violations"]]
    ]


async def test_every_control_has_a_name(page: Page) -> None:
    session = await page.context.new_cdp_session(page)
    tree = await session.send("Accessibility.getFullAXTree")
    controls = {"button", "checkbox", "combobox", "image", "link", "textbox", "table", "region"}
    named = [
        (node["role"]["value"], node["name"]["value"])
        for node in tree["nodes"]
        if not node["ignored"] and node["role"]["value"] in controls
    ]
    assert {role for role, _ in named} == controls
    assert [role for role, name in named if not name] == []


async def test_reduced_motion_stops_animations(console: ConsolePage) -> None:
    page = console.page
    await page.emulate_media(reduced_motion="reduce")
    animation = await page.evaluate(
        """() => {
            const pending = document.createElement("p");
            pending.className = "pending";
            document.body.append(pending);
            return getComputedStyle(pending, "::before").animationName;
        }"""
    )
    assert animation == "none"
