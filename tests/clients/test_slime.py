"""slime's requests, replayed from recordings (recorded/README.md); the replies are read as its remote_rm reads them."""

import asyncio
import json
import re
import socket
import time

import pytest

from conftest import ROOT
from trainer_texts import PROMPT

RECORDED = ROOT / "tests" / "clients" / "recorded"
SAMPLES = [(PROMPT, "hello", "gold"), (PROMPT, "ü" * 40, None),
           ([{"role": "user", "content": "ab"}], "hello", "gold")]
SCORES = [5 - 0.02, 80 - 0.02, 5 - 0.02]


def split_request(data):
    """The first request of the bytes, or None while it is not complete."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return None
    size = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))
    return head + end + body[:size] if len(body) >= size else None


def requests_of(name):
    rest, found = (RECORDED / name).read_bytes(), []
    while rest:
        found.append(split_request(rest))
        rest = rest[len(found[-1]):]
    return found


class Connection:
    def __init__(self, address):
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.stream = self.socket.makefile("rb")

    def exchange(self, request):
        self.socket.sendall(request)
        status = int(self.stream.readline().split()[1])
        headers = {}
        while (line := self.stream.readline()) != b"\r\n":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self.stream.read(int(headers["content-length"]))

    def closed_by_the_server(self):
        return self.stream.read(1) == b""


def reward(reply):
    """raise_for_status, then json(), which also wants the content type; the whole body is the reward."""
    status, headers, body = reply
    assert status == 200 and headers["content-type"].startswith("application/json"), reply
    return json.loads(body)


def test_one_connection_for_all(server):
    """Commit 0b420f1e keeps its connections open."""
    connection = Connection(server.address)
    assert [reward(connection.exchange(request)) for request in requests_of("slime-0b420f1e-0.http")] == SCORES


def test_a_connection_each(server):
    """Commit 701749b7 asks for each connection to be closed."""
    for number, score in enumerate(SCORES):
        (request,) = requests_of(f"slime-701749b7-{number}.http")
        connection = Connection(server.address)
        assert reward(connection.exchange(request)) == score
        assert connection.closed_by_the_server()


async def send(address, sent, copies):
    """The request on a connection of its own, as often as asked, one after the other; what came back each time."""
    reader, writer = await asyncio.open_connection(*address.split(":"))
    found = []
    for _ in range(copies):
        writer.write(sent)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        body = await reader.readexactly(int(re.search(r"(?i)content-length: *(\d+)", head).group(1)))
        found.append((int(head.split()[1]), json.loads(body)))
    writer.close()
    return found


@pytest.mark.parametrize("name, connections, copies", [("slime-0b420f1e-0.http", 64, 30), ("slime-701749b7-0.http", 500, 1)])
def test_bursts(server, name, connections, copies):
    """0b420f1e has 64 connections at most, 701749b7 one for each sample of a rollout."""
    sent = requests_of(name)[0]

    async def all_at_once():
        return await asyncio.gather(*(send(server.address, sent, copies) for _ in range(connections)))

    assert asyncio.run(all_at_once()) == [[(200, SCORES[0])] * copies] * connections


def test_a_server_that_loads(loading):
    """Its next attempt, a second later, comes on the same connection."""
    connection = Connection(loading.address)
    request = requests_of("slime-0b420f1e-0.http")[0]
    status, headers, _ = connection.exchange(request)
    assert (status, headers["retry-after"]) == (503, "1")
    for _ in range(5):
        time.sleep(1)
        reply = connection.exchange(request)
        if reply[0] == 200:
            break
    assert reward(reply) == SCORES[0]


@pytest.mark.parametrize("response, expected, why", [("FAIL", 422, "no score"), ("NAN", 500, "finite")])
def test_no_score_is_an_error_never_a_number(server, response, expected, why):
    """slime tries again after any of them; a number would be taken as the reward."""
    body = json.dumps({"prompt": PROMPT, "response": response, "label": "gold"}).encode()
    request = split_request((RECORDED / "slime-0b420f1e-0.http").read_bytes())
    head = re.sub(rb"(?i)(content-length: *)\d+", rb"\g<1>%d" % len(body), request.partition(b"\r\n\r\n")[0])
    status, _, text = Connection(server.address).exchange(head + b"\r\n\r\n" + body)
    assert status == expected and why in text.decode()
