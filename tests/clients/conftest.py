"""A server with fake models for each group of tests: score = bytes of the response - bytes of the prompt / 100."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "build" / "tests" / "service_fake_server"
KEY = "client-test-key"


class Server:
    def __init__(self, log, *arguments, key=None, wait=True, port=0, command=(SERVER,)):
        environment = {**os.environ, "PLUMB_API_KEY": key or ""}
        self.log = log
        self.process = subprocess.Popen(
            [*command, f"--serve.port={port}", "--serve.request_log=", *arguments],
            cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=open(log, "wb"))
        self.port = self.wait_for_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = "http://" + self.address
        if wait:
            self.wait_until_ready()

    def wait_for_port(self):
        for _ in range(1000):
            found = re.search(r"listening on [\d.]+:(\d+)", Path(self.log).read_text())
            if found:
                return int(found.group(1))
            assert self.process.poll() is None, Path(self.log).read_text()
            time.sleep(0.01)
        raise AssertionError("the server does not listen")

    def wait_until_ready(self):
        for _ in range(1000):
            if requests.get(self.url + "/ready", timeout=5).status_code == 200:
                return
            time.sleep(0.01)
        raise AssertionError("the server is not ready")

    def address_with_key(self):
        """For clients that can set no header; the user's name does not matter."""
        return f"any:{KEY}@{self.address}"

    def refused(self):
        """Requests that were answered 503 so far, other than those for readiness."""
        counters = requests.get(self.url + "/metrics", timeout=5).text
        rows = re.findall(r'plumb_requests_total{route="([^"]*)",code="503"} (\d+)', counters)
        return sum(int(count) for route, count in rows if "ready" not in route)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=20) == 0


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server") / "log", "--serve.route_scalar=/reward",
                     "--fake.policy=true")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def guarded(tmp_path_factory):
    """The same with an access key."""
    running = Server(tmp_path_factory.mktemp("guarded") / "log", key=KEY)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def slow(tmp_path_factory):
    """One text a batch, 50 ms each, and a queue of two requests."""
    running = Server(tmp_path_factory.mktemp("slow") / "log", "--fake.ms_per_text=50",
                     "--serve.max_batch_tokens=1", "--serve.max_queue_requests=2", "--serve.cache_mb=0")
    yield running
    running.stop()


@pytest.fixture
def loading(tmp_path):
    """Listens, but needs a moment to load its models: 503 with Retry-After until then."""
    running = Server(tmp_path / "log", "--fake.load_ms=1500", "--fake.policy=true", "--serve.route_scalar=/reward",
                     wait=False)
    yield running
    running.stop()


@pytest.fixture
def restarts(tmp_path):
    """Stops the server and starts it again on the same port: restarts() does it once more."""
    running = [Server(tmp_path / "log0", "--serve.cache_mb=0")]

    def again():
        running[0].stop()
        running[0] = Server(tmp_path / f"log{time.time_ns()}", "--serve.cache_mb=0", port=running[0].port)

    again.address, again.url = running[0].address, running[0].url
    yield again
    running[0].stop()
