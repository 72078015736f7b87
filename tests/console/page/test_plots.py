"""The live plots, and how the page polls."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.console.browser import ConsolePage
from tests.streaming.topics import Topics, event
from tests.streaming.worker_process import WorkerProcess

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.process,
    pytest.mark.tools,
]


REJECTIONS = "#plot-rejections [data-value]"


async def rejections(page: Page) -> int:
    """The number that the page shows."""
    await expect(page.locator(REJECTIONS)).to_have_text(re.compile("[0-9]"))
    return int(await page.locator(REJECTIONS).text_content() or "")


async def test_page_names_the_worker_and_drops_the_token_from_its_url(
    page: Page, worker: WorkerProcess, topics: Topics
) -> None:
    await expect(page).to_have_title("qa-worker console")
    await expect(page.locator("#about")).to_contain_text("default, int8 on cpu")
    await expect(page.locator("#about")).to_contain_text(topics.settings.kafka.group_id)
    assert page.url == f"http://127.0.0.1:{worker.port}/console/"


async def test_plots_show_the_workers_activity(page: Page, topics: Topics) -> None:
    before = await rejections(page)
    await topics.send([event(number) for number in range(20)] + [b"{", b"{", b"{}"])
    await expect(page.locator(REJECTIONS)).to_have_text(str(before + 3))
    for reason in ("not_json", "schema"):
        row = page.get_by_role("row", name=re.compile(f"{reason} [1-9]"))
        await expect(row).to_be_visible()
    latency = page.get_by_role("img", name="Latency, poll to commit: ")
    await expect(latency).not_to_have_accessible_name("Latency, poll to commit: – ms")
    for figure in await page.locator("#plot-latency [data-value]").all_text_contents():
        assert 0 < float(figure.replace(",", "")) < 60_000
    for name in ("Events: ", "Latency, ", "Batch fill: ", "Lag: ", "Rejections: "):
        line = page.get_by_role("img", name=name).locator("path.first")
        assert (await line.get_attribute("d") or "").startswith("M")
    await expect(page.get_by_role("row", name="partition 0 0")).to_be_visible()
    await expect(page.get_by_role("row", name="partition 1 0")).to_be_visible()


async def test_reloaded_page_shows_earlier_samples(page: Page, topics: Topics) -> None:
    before = await rejections(page)
    await topics.send([b"{"])
    await expect(page.locator(REJECTIONS)).to_have_text(str(before + 1))
    await page.reload()
    await expect(page.locator(REJECTIONS)).to_have_text(str(before + 1))


async def test_pointer_on_a_plot_selects_a_sample(page: Page) -> None:
    plot = page.locator("#plot-events .plot")
    await expect(plot.locator("path.first")).to_have_attribute("d", re.compile("^M"))
    box = await plot.bounding_box()
    assert box is not None
    await plot.hover(position={"x": box["width"] - 3, "y": 40})
    await expect(plot.locator(".cursor")).to_be_attached()
    await expect(plot).to_contain_text("s ago")


async def test_hidden_tab_does_not_poll(console: ConsolePage) -> None:
    page = console.page
    await page.clock.install()
    await page.reload()
    await expect(page.get_by_role("status")).to_have_text("Ready")
    await page.clock.run_for(3_000)
    await _see(page, hidden=True)
    await page.clock.run_for(3_000)  # a request that was pending
    before = len(console.requested)
    await page.clock.run_for(30_000)
    assert len(console.requested) == before
    async with page.expect_request("**/samples?*"):
        await _see(page, hidden=False)


async def _see(page: Page, *, hidden: bool) -> None:
    await page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
