"""The console as people meet it: a worker with the default model, on the broker, in Chromium."""

import json
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Locator, Page, Route, expect

from schemas.answer import ModelInfo
from schemas.question import Question
from tests.brokers.apache import free_ports
from tests.brokers.protocol import Broker
from tests.console.browser import TOKEN, Looked, chromium, console_environment, console_url
from tests.console.serving import served
from tests.reading.embeddings import DIMS, write_embedding_bundle
from tests.streaming.topics import Topics, event
from tests.streaming.worker_process import WorkerProcess
from tests.tools import tool_file

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "Who built version 7?"
EMOJI = (
    "Release notes 🚀: the family 👨‍👩‍👧‍👦 marks changes by the community. "
    "Version 7 was built by Mireille 👩🏽‍🚀 in Toulouse 🇫🇷."
)
MARKUP = (
    "<img src=x onerror='window.broken = 1'> <script>window.broken = 1</script> "
    "The letter was written by <b onclick='window.broken = 1'>Ada Byron</b> in 1843."
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def topics(broker: Broker) -> Topics:
    port = str(free_ports(1)[0])
    own = Topics(broker.bootstrap_servers, {**console_environment(), "QA_HTTP_PORT": port})
    await own.create()
    return own


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def worker(topics: Topics, browser: Browser) -> AsyncIterator[WorkerProcess]:
    async with WorkerProcess(topics.environment) as worker:
        yield worker


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def profile(browser: Browser) -> AsyncIterator[BrowserContext]:
    async with await browser.new_context(viewport={"width": 1280, "height": 900}) as profile:
        yield profile


@pytest_asyncio.fixture(loop_scope="module")
async def looked(worker: WorkerProcess, profile: BrowserContext) -> AsyncIterator[Looked]:
    """The console, open. Whatever a test does: nothing is fetched from elsewhere, and nobody
    complains, unless the test has looked at the complaints and cleared them.
    """
    looked = Looked(await profile.new_page())
    await looked.page.goto(console_url(worker.port))
    await expect(looked.page.get_by_role("status")).to_have_text("Ready")
    yield looked
    await looked.page.close()
    assert looked.complaints == []
    here = f"http://127.0.0.1:{worker.port}/console/"
    assert [url for url in looked.requested if not url.startswith((here, "data:"))] == []


@pytest.fixture
def page(looked: Looked) -> Page:
    return looked.page


def result(page: Page) -> Locator:
    return page.locator("#result")


# Watching.


async def test_the_page_says_what_the_worker_is_and_its_address_forgets_the_token(
    page: Page, worker: WorkerProcess, topics: Topics
) -> None:
    await expect(page).to_have_title("qa-worker console")
    await expect(page.locator("#about")).to_contain_text("default, int8 on cpu")
    await expect(page.locator("#about")).to_contain_text(topics.settings.kafka.group_id)
    assert page.url == f"http://127.0.0.1:{worker.port}/console/"


async def test_the_plots_show_what_the_worker_did(page: Page, topics: Topics) -> None:
    await topics.send([event(number) for number in range(20)] + [b"{", b"{", b"{}"])
    rejections = page.locator("#plot-rejections")
    await expect(rejections.locator("[data-value]")).to_have_text("3")
    await expect(rejections.get_by_role("row", name="not_json 2")).to_be_visible()
    await expect(rejections.get_by_role("row", name="schema 1")).to_be_visible()
    latency = page.get_by_role("img", name="Latency, poll to commit: ")
    await expect(latency).not_to_have_accessible_name("Latency, poll to commit: – ms")
    for figure in await page.locator("#plot-latency [data-value]").all_text_contents():
        assert 0 < float(figure.replace(",", "")) < 60_000
    for name in ("Events: ", "Latency, ", "Batch fill: ", "Lag: ", "Rejections: "):
        line = page.get_by_role("img", name=name).locator("path.first")
        assert (await line.get_attribute("d") or "").startswith("M")
    await expect(page.get_by_role("row", name="partition 0 0")).to_be_visible()
    await expect(page.get_by_role("row", name="partition 1 0")).to_be_visible()


async def test_a_page_that_is_opened_later_shows_the_past(page: Page, topics: Topics) -> None:
    rejections = page.locator("#plot-rejections [data-value]")
    await expect(rejections).to_have_text(re.compile("[0-9]"))
    more = str(int(await rejections.text_content() or "") + 1)
    await topics.send([b"{"])
    await expect(rejections).to_have_text(more)
    await page.reload()
    await expect(rejections).to_have_text(more)


async def test_a_pointer_on_a_plot_asks_for_that_moment(page: Page) -> None:
    plot = page.locator("#plot-events .plot")
    await expect(plot.locator("path.first")).to_have_attribute("d", re.compile("^M"))
    box = await plot.bounding_box()
    assert box is not None
    await plot.hover(position={"x": box["width"] - 3, "y": 40})
    await expect(plot.locator(".cursor")).to_be_attached()
    await expect(plot).to_contain_text("s ago")


async def test_a_tab_that_nobody_sees_asks_for_nothing(looked: Looked) -> None:
    page = looked.page
    await page.clock.install()
    await page.reload()
    await expect(page.get_by_role("status")).to_have_text("Ready")
    await page.clock.run_for(3_000)
    await _see(page, hidden=True)
    await page.clock.run_for(3_000)  # what was on its way
    before = len(looked.requested)
    await page.clock.run_for(30_000)
    assert len(looked.requested) == before
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


# Asking.


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
        "Queued", "Decoded", "Tokenised", "Run", "Picked", "Published", "Committed"
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
        await expect(page.locator("#way")).to_contain_text("Pooled")
        await page.close()


# For everybody.


async def test_it_fits_any_width(looked: Looked) -> None:
    page = looked.page
    await looked.ask("Who wrote it?", f"It was written by Ada{'bcde' * 24} in 1843.")
    await expect(page.get_by_role("region", name="Its journey")).to_be_visible()
    for width in (360, 768, 1080, 1440):
        await page.set_viewport_size({"width": width, "height": 740})
        outside = await page.evaluate(
            """() => [...document.querySelectorAll("body *")]
                .filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5)
                .filter((each) => !each.closest(".visually-hidden"))
                .map((each) => each.outerHTML.slice(0, 80))"""
        )
        assert (width, outside) == (width, [])
        assert await page.evaluate("document.scrollingElement.scrollWidth") <= width


async def test_it_keeps_the_rules_of_accessibility_light_and_dark(looked: Looked) -> None:
    """Names, roles, contrasts, as axe-core finds them: with an answer, with a rejection, locked."""
    page = looked.page
    await looked.ask(QUESTION, EMOJI)
    await expect(page.locator("mark")).to_be_visible()
    assert await violations(page) == []
    await looked.ask(" ", EMOJI)
    await expect(result(page)).to_contain_text("Rejected")
    assert await violations(page) == []
    await page.evaluate("sessionStorage.clear()")
    await page.reload()
    await expect(page.get_by_role("textbox", name="Token")).to_be_visible()
    assert await violations(page) == []


async def violations(page: Page) -> list[str]:
    """Under the rules that only look at colours, for the dark scheme."""
    axe = tool_file("axe-core/node_modules/axe-core/axe.min.js").read_text()
    await page.evaluate(f"() => {{ {axe} }}")
    found = await page.evaluate("axe.run()")
    await page.emulate_media(color_scheme="dark")
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, ground.removeprefix("rgb(").removesuffix(")").split(","))) < 200
    dark = await page.evaluate("axe.run({ runOnly: ['color-contrast'] })")
    await page.emulate_media(color_scheme="light")
    assert found["passes"]
    assert dark["passes"]
    return [
        json.dumps([each["id"], [node["html"] for node in each["nodes"]]])
        for each in [*found["violations"], *dark["violations"]]
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


async def test_who_wants_no_motion_gets_none(looked: Looked) -> None:
    page = looked.page
    await page.emulate_media(reduced_motion="reduce")
    moving = await page.evaluate(
        """() => {
            const pending = document.createElement("p");
            pending.className = "pending";
            document.body.append(pending);
            return getComputedStyle(pending, "::before").animationName;
        }"""
    )
    assert moving == "none"


# Strangers.


async def test_a_page_of_strangers_asks_nothing_sees_nothing_and_frames_nothing(
    browser: Browser, worker: WorkerProcess, topics: Topics
) -> None:
    """One from another origin in the same browser, which even has the token. `localhost` is another
    origin than 127.0.0.1.
    """
    console = f"http://127.0.0.1:{worker.port}/console/"
    before = await topics.ends()
    page = await browser.new_page()
    await page.goto(f"http://localhost:{worker.port}/healthz")
    tried = await page.evaluate(
        """async ([console, token]) => {
            const headers = {
                Authorization: `Bearer ${token}`,
                "Content-Type": "application/json",
            };
            const body = JSON.stringify({ question: "Who?", context: "Ada." });
            const outcome = (path, options) => fetch(`${console}${path}`, options)
                .then((response) => response.type, (error) => error.name);
            return [
                await outcome("questions", { method: "POST", mode: "no-cors", body }),
                await outcome("questions", { method: "POST", headers, body }),
                await outcome("samples", { headers }),
            ];
        }""",
        [console, TOKEN],
    )
    assert tried == ["TypeError", "TypeError", "TypeError"]
    assert await topics.ends() == before
    async with page.expect_event("requestfailed") as refused:
        await page.evaluate(
            """url => {
                const frame = document.createElement("iframe");
                frame.src = url;
                document.body.append(frame);
            }""",
            console,
        )
    assert (await refused.value).url == console
    await page.close()


# Locked, and lost.


async def test_without_the_token_there_is_nothing_but_the_question_for_it(
    browser: Browser, worker: WorkerProcess
) -> None:
    page = await browser.new_page()
    await page.goto(f"http://127.0.0.1:{worker.port}/console/")
    await expect(page.get_by_role("textbox", name="Token")).to_be_focused()
    await expect(page.locator("#open")).to_be_hidden()
    await page.get_by_role("textbox", name="Token").fill("not-the-token-of-it")
    await page.keyboard.press("Enter")
    await expect(page.locator("#locked")).to_contain_text("not the worker’s token")
    await page.get_by_role("textbox", name="Token").fill(console_environment()["QA_CONSOLE_TOKEN"])
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_have_text("Ready")
    await expect(page.locator("#locked")).to_be_hidden()
    await page.reload()  # it stays in the tab
    await expect(page.get_by_role("status")).to_have_text("Ready")
    await page.close()


async def test_a_worker_that_goes_away_is_missed_and_one_that_comes_back_is_found(
    looked: Looked, worker: WorkerProcess, topics: Topics
) -> None:
    page = looked.page
    worker.signal(signal.SIGTERM)
    assert await worker.ended() == 0
    await expect(page.get_by_role("status")).to_have_text("Connection lost, trying again")
    await looked.ask("Who?", "Ada.")
    await expect(result(page)).to_contain_text("the worker does not answer")
    async with WorkerProcess(topics.environment):
        await expect(page.get_by_role("status")).to_have_text("Ready")
        await looked.ask("Who wrote it?", "It was written by Ada Byron in 1843.")
        await expect(page.locator("mark")).to_have_text("Ada Byron")
    looked.complaints.clear()  # the browser's, about the port where nobody listened
