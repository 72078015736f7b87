"""Sending questions from the page, and the display of answers and traces."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, expect

from schemas.answer import ModelInfo
from schemas.question import Question
from tests.brokers.protocol import Broker
from tests.console.browser import (
    EMOJI,
    QUESTION,
    ConsolePage,
    console_environment,
    console_url,
    result,
)
from tests.console.serving import served
from tests.inference.embeddings import DIMS, write_embedding_bundle
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.process,
    pytest.mark.tools,
]


MARKUP = (
    "<img src=x onerror='window.broken = 1'> <script>window.broken = 1</script> "
    "The letter was written by <b onclick='window.broken = 1'>Ada Byron</b> in 1843."
)


async def test_answer_is_marked_at_its_offset_after_emoji(console: ConsolePage) -> None:
    page = console.page
    await console.ask(QUESTION, EMOJI)
    mark = page.locator("mark")
    await expect(mark).to_contain_text("Mireille")
    answer = await page.locator("#result .headline").text_content()
    assert await mark.text_content() == answer
    assert await page.locator("#result .text").text_content() == EMOJI
    # The page shows the worker's offsets, in code points of the context.
    offsets = await page.locator(".spans button .at").first.text_content()
    start, end = map(int, (offsets or "").split("–"))
    assert EMOJI[start:end] == answer


async def test_a_click_marks_another_span(console: ConsolePage) -> None:
    page = console.page
    await console.ask(QUESTION, EMOJI)
    spans = page.locator(".spans button")
    await expect(spans).to_have_count(3)
    await spans.nth(1).click()
    await expect(spans.nth(1)).to_have_attribute("aria-pressed", "true")
    await expect(spans.nth(0)).to_have_attribute("aria-pressed", "false")
    assert (
        await page.locator("mark").text_content()
        == await spans.nth(1).locator("span").nth(0).text_content()
    )


async def test_the_answer_is_shown_in_its_passage(console: ConsolePage) -> None:
    page = console.page
    await page.get_by_label("Question").fill("Who wrote it?")
    await page.get_by_label("Context that contains the answer").fill("It rained all day.")
    for _ in range(3):
        await page.get_by_role("button", name="Add a passage").click()
    await page.get_by_label("Passage 2", exact=True).fill("Nothing else happened.")
    await page.get_by_role("button", name="Remove passage 3").click()
    # The fourth is the third now; the second has become empty, so the third is sent as number 3.
    await page.get_by_label("Passage 2", exact=True).fill("")
    await page.get_by_label("Passage 3", exact=True).fill("Ada Byron wrote it in 1843.")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("mark")).to_have_text("Ada Byron")
    await expect(page.locator("#result .text")).to_have_text("Ada Byron wrote it in 1843.")
    await expect(page.locator(".spans .at").first).to_have_text("passage 3 0–9")
    announced = page.locator("[aria-live=polite]")
    await expect(announced).to_have_text("Answer: Ada Byron (passage 3)")


async def test_trace_shows_stages_in_order(console: ConsolePage, topics: Topics) -> None:
    page = console.page
    await console.ask(QUESTION, EMOJI)
    trace = page.get_by_role("region", name="Trace of the record")
    await expect(trace).to_be_visible()
    stages = await trace.locator("th[scope=row]").all_text_contents()
    assert stages == [
        "Queue", "Decode", "Preprocess", "Run model", "Postprocess", "Publish", "Commit"
    ]  # fmt: skip
    await expect(trace).to_contain_text("micro-batch of 1 window from 1 record")
    await expect(trace).to_contain_text("one transaction with the offset")
    await expect(trace).to_contain_text(f"{topics.settings.qa.questions_topic}, partition ")
    working = trace.get_by_role("row", name="Run model").locator("i.working")
    box = await working.first.bounding_box()
    assert box is not None
    assert box["width"] >= 2


async def test_rejection_shows_reason_and_detail(console: ConsolePage) -> None:
    await console.ask(" ", "Ada.")
    await expect(result(console.page)).to_contain_text("Rejected: schema")
    await expect(result(console.page)).to_contain_text("question: is blank")
    await expect(console.page.get_by_role("region", name="Trace of the record")).to_contain_text(
        "Publish"
    )


async def test_no_answer_is_shown(console: ConsolePage) -> None:
    await console.page.get_by_label("allow “no answer”").check()
    await console.ask("Who?", "\u200b")
    await expect(result(console.page)).to_contain_text("No answer in this context")
    await expect(console.page.locator("mark")).to_have_count(0)


async def test_text_never_becomes_markup(console: ConsolePage) -> None:
    await console.ask("Who wrote the <i>letter</i>?", MARKUP)
    await expect(console.page.locator("mark")).to_contain_text("Ada Byron")
    assert await console.page.locator("#result .text").text_content() == MARKUP
    assert await console.page.locator("#result :is(img, script, b[onclick], i)").count() == 0
    assert await console.page.evaluate("window.broken") is None
    # Trusted Types: the browser refuses markup from a string even if the page has such a bug.
    error = await console.page.evaluate(
        """() => {
            try { document.body.innerHTML = "<p>"; } catch (error) { return error.name; }
        }"""
    )
    assert error == "TypeError"
    assert len(console.problems) == 1
    console.problems.clear()


async def test_form_works_with_the_keyboard(page: Page) -> None:
    await page.get_by_label("Question").focus()
    await page.keyboard.type("Who wrote it?")
    await page.keyboard.press("Tab")
    await page.keyboard.type("It was written by Ada Byron in 1843.")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("mark")).to_have_text("Ada Byron")
    await expect(page.locator("[aria-live=polite]")).to_have_text("Answer: Ada Byron")


async def test_answer_timeout_is_shown(console: ConsolePage) -> None:
    async def too_late(route: Route) -> None:
        await route.fulfill(status=504, json={"error": "no answer in time"})

    await console.page.route("**/questions", too_late)
    await console.ask("Who?", "Ada.")
    await expect(result(console.page)).to_contain_text("No answer yet")
    await expect(console.page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    console.problems.clear()  # the browser logs the status


async def test_answer_of_another_worker_has_no_trace(console: ConsolePage, topics: Topics) -> None:
    """The console's own worker has no partition, so another worker answers."""
    async with served({**topics.environment, "QA_HTTP_PORT": "0"}) as (server, port):
        server.set_worker(ModelInfo(name="m", sha256="0", precision="int8"), Question, "0")
        other = ConsolePage(await console.page.context.new_page())
        await other.page.goto(console_url(port))
        await other.ask("Who wrote it?", "It was written by Ada Byron in 1843.")
        await expect(other.page.locator("mark")).to_have_text("Ada Byron")
        await expect(other.page.locator("#trace")).to_contain_text(
            "Another worker of the group processed"
        )
        await other.page.close()


async def test_form_of_an_embedding_model_takes_a_text(
    browser: Browser, broker: Broker, tmp_path: Path
) -> None:
    model = {"QA_MODEL": str(write_embedding_bundle(tmp_path / "tiny"))}
    topics = Topics(broker.bootstrap_servers, {**console_environment(), **model})
    await topics.create()
    async with WorkerProcess(topics.environment) as worker:
        page = await browser.new_page()
        await page.goto(console_url(worker.port))
        await expect(page.get_by_role("heading", name="Embed through Kafka")).to_be_visible()
        await expect(page.get_by_label("Question")).to_be_hidden()
        await page.get_by_label("Text").fill("answer a")
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(result(page)).to_contain_text(f"{DIMS} dimensions")
        await expect(page.locator("#stages")).to_contain_text("Postprocess")
        await page.close()
