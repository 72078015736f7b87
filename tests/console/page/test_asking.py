"""Questions that are asked on the page, and what it shows of them."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, expect

from schemas.answer import ModelInfo
from schemas.question import Question
from tests.brokers.protocol import Broker
from tests.console.browser import EMOJI, QUESTION, Looked, console_environment, console_url, result
from tests.console.serving import served
from tests.inference.embeddings import DIMS, write_embedding_bundle
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="package")

MARKUP = (
    "<img src=x onerror='window.broken = 1'> <script>window.broken = 1</script> "
    "The letter was written by <b onclick='window.broken = 1'>Ada Byron</b> in 1843."
)


async def test_an_answer_is_marked_where_it_stands_also_behind_emoji(looked: Looked) -> None:
    page = looked.page
    await looked.ask(QUESTION, EMOJI)
    mark = page.locator("mark")
    await expect(mark).to_contain_text("Mireille")
    said = await page.locator("#result .said").text_content()
    assert await mark.text_content() == said
    assert await page.locator("#result .text").text_content() == EMOJI
    # Its place, in the worker's words: code points of the very context.
    place = await page.locator(".spans button .at").first.text_content()
    start, end = map(int, (place or "").split("–"))
    assert EMOJI[start:end] == said


async def test_any_of_the_answers_can_be_marked(looked: Looked) -> None:
    page = looked.page
    await looked.ask(QUESTION, EMOJI)
    spans = page.locator(".spans button")
    await expect(spans).to_have_count(3)
    await spans.nth(1).click()
    await expect(spans.nth(1)).to_have_attribute("aria-pressed", "true")
    await expect(spans.nth(0)).to_have_attribute("aria-pressed", "false")
    assert (
        await page.locator("mark").text_content()
        == await spans.nth(1).locator("span").nth(0).text_content()
    )


async def test_the_journey_shows_its_stages_in_their_order(looked: Looked, topics: Topics) -> None:
    page = looked.page
    await looked.ask(QUESTION, EMOJI)
    journey = page.get_by_role("region", name="Its journey")
    await expect(journey).to_be_visible()
    stages = await journey.locator("th[scope=row]").all_text_contents()
    assert stages == [
        "Queued", "Decoded", "Preprocessed", "Run", "Postprocessed", "Published", "Committed"
    ]  # fmt: skip
    await expect(journey).to_contain_text("micro-batch of 1 window from 1 record")
    await expect(journey).to_contain_text("with its offset, in one transaction")
    await expect(journey).to_contain_text(f"{topics.settings.qa.questions_topic}, partition ")
    worked = journey.get_by_role("row", name="Run").locator(".worked i, i.worked")
    box = await worked.first.bounding_box()
    assert box is not None
    assert box["width"] >= 2


async def test_a_question_that_is_rejected_says_why(looked: Looked) -> None:
    await looked.ask(" ", "Ada.")
    await expect(result(looked.page)).to_contain_text("Rejected: schema")
    await expect(result(looked.page)).to_contain_text("question: is blank")
    await expect(looked.page.get_by_role("region", name="Its journey")).to_contain_text("Published")


async def test_that_there_is_no_answer_is_said_as_that(looked: Looked) -> None:
    await looked.page.get_by_label("it may be that there is none").check()
    await looked.ask("Who?", "\u200b")
    await expect(result(looked.page)).to_contain_text("No answer in this context")
    await expect(looked.page.locator("mark")).to_have_count(0)


async def test_text_is_never_taken_for_markup(looked: Looked) -> None:
    await looked.ask("Who wrote the <i>letter</i>?", MARKUP)
    await expect(looked.page.locator("mark")).to_contain_text("Ada Byron")
    assert await looked.page.locator("#result .text").text_content() == MARKUP
    assert await looked.page.locator("#result :is(img, script, b[onclick], i)").count() == 0
    assert await looked.page.evaluate("window.broken") is None
    # And where a mistake in the page would make it markup, the browser does not let it.
    refused = await looked.page.evaluate(
        """() => {
            try { document.body.innerHTML = "<p>"; } catch (error) { return error.name; }
        }"""
    )
    assert refused == "TypeError"
    assert len(looked.complaints) == 1
    looked.complaints.clear()


async def test_it_can_be_asked_by_keyboard_alone(page: Page) -> None:
    await page.get_by_label("Question").focus()
    await page.keyboard.type("Who wrote it?")
    await page.keyboard.press("Tab")
    await page.keyboard.type("It was written by Ada Byron in 1843.")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("mark")).to_have_text("Ada Byron")
    await expect(page.locator("[aria-live=polite]")).to_have_text("Answer: Ada Byron")


async def test_where_nothing_comes_back_it_says_so(looked: Looked) -> None:
    async def too_late(route: Route) -> None:
        await route.fulfill(status=504, json={"error": "no answer came back in time"})

    await looked.page.route("**/questions", too_late)
    await looked.ask("Who?", "Ada.")
    await expect(result(looked.page)).to_contain_text("No answer yet")
    await expect(looked.page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    looked.complaints.clear()  # the browser's, about the status


async def test_what_another_worker_answered_is_said_to_be(looked: Looked, topics: Topics) -> None:
    """A console whose own worker has no partition: the answer is the other's."""
    async with served({**topics.environment, "QA_HTTP_PORT": "0"}) as (console, port):
        console.opened(ModelInfo(name="m", sha256="0", precision="int8"), Question, "0")
        other = Looked(await looked.page.context.new_page())
        await other.page.goto(console_url(port))
        await other.ask("Who wrote it?", "It was written by Ada Byron in 1843.")
        await expect(other.page.locator("mark")).to_have_text("Ada Byron")
        await expect(other.page.locator("#journey")).to_contain_text("Another worker of the group")
        await other.page.close()


async def test_a_model_for_embeddings_is_given_a_text(
    browser: Browser, broker: Broker, tmp_path: Path
) -> None:
    model = {"QA_MODEL": str(write_embedding_bundle(tmp_path / "tiny"))}
    topics = Topics(broker.bootstrap_servers, {**console_environment(), **model})
    await topics.create()
    async with WorkerProcess(topics.environment) as worker:
        page = await browser.new_page()
        await page.goto(console_url(worker.port))
        await expect(page.get_by_role("heading", name="Embed through the topics")).to_be_visible()
        await expect(page.get_by_label("Question")).to_be_hidden()
        await page.get_by_label("Text").fill("answer a")
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(result(page)).to_contain_text(f"{DIMS} numbers")
        await expect(page.locator("#way")).to_contain_text("Postprocessed")
        await page.close()
