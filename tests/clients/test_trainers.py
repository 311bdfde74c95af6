"""The calls of trainers, written after how they are made: body, time-outs, retries and the fields of the reply that are read."""

import asyncio
import json
import random
import struct

import aiohttp
import requests

PROMPT = "<|im_start|>user\nab<|im_end|>\n<|im_start|>assistant\n"
CHAT = PROMPT + "hello<|im_end|>"
VALUE = 5 - 0.02


async def openrlhf_reward(url, query, prompt, label, tries=5):
    """From 0.10: one call a rollout, each non-2xx is tried again."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=180)) as session:
        for left in reversed(range(tries)):
            try:
                body = {"query": query, "prompts": prompt, "labels": label}
                async with session.post(url, json=body) as reply:
                    reply.raise_for_status()
                    return await reply.json()
            except aiohttp.ClientError:
                if left == 0:
                    raise
                await asyncio.sleep(1)


def test_openrlhf_one_rollout(server):
    reply = asyncio.run(openrlhf_reward(server.url + "/get_reward", [CHAT], [PROMPT], ["gold"]))
    assert reply["rewards"] == [VALUE] and reply["scores"] == [VALUE]
    assert all(isinstance(v, float) for values in reply["extra_logs"].values() for v in values)


def test_openrlhf_empty_shard(server):
    reply = asyncio.run(openrlhf_reward(server.url + "/get_reward", [], [], []))
    assert reply == {"rewards": [], "scores": [], "extra_logs": {"fake": [], "other": []}}


def test_openrlhf_old_client_sends_the_whole_batch(server):
    """Up to 0.9: `query` alone, lists split by sample counts."""
    texts = [PROMPT + "x" * n for n in range(256)]
    reply = requests.post(server.url + "/get_reward", json={"query": texts}, timeout=180).json()
    assert reply["rewards"] == [n - 0.02 for n in range(256)]
    assert {len(values) for values in reply["extra_logs"].values()} == {256}


def test_openrlhf_survives_an_overload(slow):
    async def burst():
        calls = [openrlhf_reward(slow.url + "/get_reward", ["x" * (n + 1)], [""], [""]) for n in range(6)]
        return await asyncio.gather(*calls)

    assert [reply["rewards"][0] for reply in asyncio.run(burst())] == [n + 1 for n in range(6)]


async def verl_post(url, payload, tries=16):
    """Its reward loop: 4xx is never tried again, other failures are."""
    for attempt in range(tries):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
            async with session.post(url, json=payload) as reply:
                assert not 400 <= reply.status < 500, await reply.text()
                if reply.status == 200:
                    return await reply.json()
        await asyncio.sleep(min(0.1 * 2**attempt, 30))
    raise AssertionError("given up")


def test_verl_calls_of_both_engines(server):
    vllm = asyncio.run(verl_post(server.url + "/classify", {"model": "fake", "input": CHAT, "activation": False}))
    assert vllm["data"][-1]["probs"][-1] == VALUE
    sglang = asyncio.run(verl_post(server.url + "/v1/embeddings", {"model": "fake", "input": CHAT}))
    assert sglang["data"][-1]["embedding"][-1] == VALUE


def test_verl_never_sees_4xx_in_an_overload(slow):
    async def burst():
        body = {"model": "fake", "activation": False}
        calls = [verl_post(slow.url + "/classify", {**body, "input": "x" * (n + 1)}) for n in range(12)]
        return await asyncio.gather(*calls)

    assert [reply["data"][-1]["probs"][-1] for reply in asyncio.run(burst())] == [n + 1 for n in range(12)]


async def slime_remote_rm(session, url, sample, tries=10):
    for attempt in range(tries):
        try:
            async with session.post(url, json=sample) as reply:
                reply.raise_for_status()
                return await reply.json()
        except aiohttp.ClientError:
            await asyncio.sleep(min(0.05 * 2**attempt, 30) + random.random() * 0.01)
    raise AssertionError("given up")


def test_slime_reads_a_bare_number(server):
    async def burst():
        connector = aiohttp.TCPConnector(limit=64)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=120)) as session:
            calls = [slime_remote_rm(session, server.url + "/reward",
                                     {"prompt": PROMPT, "response": "x" * n, "label": "gold"}) for n in range(200)]
            return await asyncio.gather(*calls)

    assert asyncio.run(burst()) == [n - 0.02 for n in range(200)]


def test_llama_factory_trainer(server):
    """Its helper names no model but "model", and reads `scores` from the text of the reply."""
    reply = requests.post(server.url + "/v1/score/evaluation", json={"model": "model", "messages": [CHAT, "hello"]},
                          headers={"Content-Type": "application/json"}, timeout=5)
    assert json.loads(reply.text)["scores"] == [VALUE, 5.0]


def kserve_bytes(texts):
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)


def test_kserve_json_and_binary(server):
    path = server.url + "/v2/models/reward_model/infer"
    plain = requests.post(path, timeout=5, json={
        "inputs": [{"name": "sentences", "shape": [2, 1], "datatype": "BYTES", "data": [CHAT, "hello"]}]}).json()
    assert plain["outputs"][0]["shape"] == [2, 1]
    assert [round(value, 4) for value in plain["outputs"][0]["data"]] == [VALUE, 5.0]

    tail = kserve_bytes([CHAT, "hello"])
    head = json.dumps({
        "inputs": [{"name": "sentences", "shape": [2, 1], "datatype": "BYTES",
                    "parameters": {"binary_data_size": len(tail)}}],
        "outputs": [{"name": "rewards", "parameters": {"binary_data": True}}]}).encode()
    reply = requests.post(path, data=head + tail, timeout=5, headers={
        "Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))})
    size = int(reply.headers["Inference-Header-Content-Length"])
    assert json.loads(reply.content[:size])["outputs"][0]["parameters"]["binary_data_size"] == 8
    assert [round(value, 4) for value in struct.unpack("<2f", reply.content[size:])] == [VALUE, 5.0]


def test_sglang_native_classify(server):
    rows = requests.post(server.url + "/classify", json={"text": ["hello", "you"]}, timeout=5).json()
    assert [row["embedding"] for row in rows] == [[5.0], [3.0]]
