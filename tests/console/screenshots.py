"""Screenshots of the console: `python -m tests.console.screenshots DIR [SECONDS]`.

Wide, narrow and dark views with an answer, after SECONDS (default 90) of traffic.
"""

import asyncio
import math
import random
import sys
import time
from pathlib import Path
from typing import Literal

from aiokafka import AIOKafkaProducer

from tests.console.browser import chromium, console_environment, console_url
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess
from worker.cli.demo_events import demo_events
from worker.kafka.dev_broker import DevBroker

VIEWS: dict[str, tuple[int, int, Literal["light", "dark"]]] = {
    "wide": (1440, 900, "light"),
    "dark": (1440, 900, "dark"),
    "narrow": (390, 844, "light"),
    "narrow-dark": (390, 844, "dark"),
}


async def _traffic(topics: Topics) -> None:
    """Sends waves of questions, 2 % of them invalid, until it is cancelled."""
    short = [event.value for event in demo_events() if event.question and len(event.value) < 2000]
    choose = random.Random(1)
    async with AIOKafkaProducer(bootstrap_servers=topics.servers) as producer:
        while True:
            wave = 1 + math.sin(time.monotonic() / 7)
            for _ in range(choose.randint(0, round(1 + 3 * wave))):
                value = choose.choice(short)
                if choose.random() < 0.02:
                    value = choose.choice([b"{", b"{}"])
                await producer.send(topics.settings.qa.questions_topic, value)
            await asyncio.sleep(0.25)


async def take(directory: Path, seconds: float) -> None:
    with DevBroker() as broker:
        topics = Topics(broker.bootstrap_servers, console_environment(), partitions=4)
        await topics.create()
        async with WorkerProcess(topics.environment) as worker, chromium() as browser:
            traffic = asyncio.create_task(_traffic(topics))
            await asyncio.sleep(seconds)
            for name, (width, height, scheme) in VIEWS.items():
                page = await browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                    device_scale_factor=2 if width < 500 else 1,
                )
                await page.goto(console_url(worker.port))
                await page.get_by_role("button", name="Fill in an example").click()
                await page.get_by_role("button", name="Send", exact=True).click()
                await page.locator("mark").wait_for()
                await page.screenshot(path=directory / f"{name}.png", full_page=True)
                await page.close()
            traffic.cancel()


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 90))
