"""Runs Prometheus with deploy/prometheus' configuration. It scrapes one worker each second."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

from tests.deploy.queries import RULES
from tests.streaming.topics import until
from tests.tools import tool
from worker.kafka.kafka_node import free_ports


class PrometheusProcess:
    """A Prometheus process. `async with` waits until it is ready, and kills it at the end."""

    def __init__(self, directory: Path, worker_port: int) -> None:
        """Starts the process. Its files are in `directory`."""
        (self._port,) = free_ports(1)
        config = yaml.safe_load(RULES.with_name("prometheus.yml").read_text("utf-8"))
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(RULES)]
        (job,) = config["scrape_configs"]
        del job["dns_sd_configs"]  # the DNS name `worker` exists in compose only
        job["static_configs"] = [{"targets": [f"127.0.0.1:{worker_port}"]}]
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
        self._log = directory / "prometheus.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    tool("prometheus"),
                    f"--config.file={directory}/prometheus.yml",
                    f"--storage.tsdb.path={directory}/data",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    async def __aenter__(self) -> Self:
        await until(self._is_ready, "Prometheus is ready")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        if error is not None:
            print(self._log.read_text(errors="replace")[-2000:])

    async def _is_ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text(errors="replace")
        try:
            async with aiohttp.ClientSession() as client, client.get(self._url("/-/ready")) as page:
                return page.status == 200
        except aiohttp.ClientConnectorError:
            return False

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Returns the instant vector. Raises `AssertionError` if the expression is invalid."""
        vector: list[dict[str, Any]] = (await self.get("/api/v1/query", query=expression))["result"]
        return vector

    async def get(self, path: str, **parameters: str) -> Mapping[str, Any]:
        """Returns `data` of a response of Prometheus' API. Raises `AssertionError` on errors."""
        async with (
            aiohttp.ClientSession() as client,
            client.get(self._url(path), params=parameters) as response,
        ):
            content = await response.json()
        assert content["status"] == "success", content
        data: dict[str, Any] = content["data"]
        return data

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"
