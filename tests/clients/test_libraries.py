"""The client libraries themselves."""

import asyncio
import base64
import struct

import aiohttp
import openai
import pytest
import requests
from huggingface_hub import InferenceClient

from conftest import KEY


def openai_client(server, key="unused"):
    return openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0)


def test_openai_embeddings_floats_and_base64(server):
    client = openai_client(server)
    plain = client.embeddings.create(model="plumb", input=["hello", "you"], encoding_format="float")
    assert [row.embedding for row in plain.data] == [[5.0], [3.0]]
    assert plain.usage.prompt_tokens == 8
    packed = client.embeddings.create(model="fake", input="hello")  # the library asks for base64
    assert packed.data[0].embedding == [5.0]
    raw = requests.post(server.url + "/v1/embeddings", json={"input": "hello", "encoding_format": "base64"}, timeout=5)
    assert struct.unpack("<f", base64.b64decode(raw.json()["data"][0]["embedding"])) == (5.0,)


def test_openai_models(server):
    ids = [model.id for model in openai_client(server).models.list()]
    assert ids[:3] == ["plumb", "fake", "other"]


def test_openai_completion_echo_and_stream(server):
    client = openai_client(server)
    done = client.completions.create(model="plumb", prompt="xy", max_tokens=4, temperature=0)
    assert done.choices[0].text == "abcd"
    assert done.choices[0].finish_reason == "length"
    assert done.usage.completion_tokens == 4
    echoed = client.completions.create(model="plumb", prompt="xyz", max_tokens=0, echo=True, logprobs=1)
    assert echoed.choices[0].text == "xyz"
    assert echoed.choices[0].logprobs.token_logprobs == [None, -1.0, -1.0]
    assert echoed.choices[0].logprobs.text_offset == [0, 1, 2]
    parts = client.completions.create(model="plumb", prompt="xy", max_tokens=4, stream=True)
    assert "".join(part.choices[0].text for part in parts) == "abcd"


def test_openai_chat_and_stream(server):
    client = openai_client(server)
    messages = [{"role": "user", "content": "hi"}]
    done = client.chat.completions.create(model="plumb", messages=messages, max_tokens=3, logprobs=True)
    assert done.choices[0].message.content == "abc"
    assert [token.token for token in done.choices[0].logprobs.content] == ["a", "b", "c"]
    parts = list(client.chat.completions.create(model="plumb", messages=messages, max_tokens=3, stream=True,
                                                stream_options={"include_usage": True}))
    assert parts[0].choices[0].delta.role == "assistant"
    assert "".join(part.choices[0].delta.content or "" for part in parts if part.choices) == "abc"
    assert parts[-1].choices == [] and parts[-1].usage.completion_tokens == 3


def test_openai_errors(server, guarded):
    with pytest.raises(openai.NotFoundError) as unknown:
        openai_client(server).embeddings.create(model="gone", input="x")
    assert unknown.value.body["type"] == "NotFoundError"
    with pytest.raises(openai.BadRequestError):
        openai_client(server).completions.create(model="plumb", prompt="x", temperature=-5)
    with pytest.raises(openai.AuthenticationError):
        openai_client(guarded, "wrong-key").models.list()
    assert openai_client(guarded, KEY).embeddings.create(model="fake", input="hello").data


def test_openai_retries_an_overload(slow):
    """503 with Retry-After: the library's own retries get every request through."""
    client = openai.AsyncOpenAI(base_url=slow.url + "/v1", api_key="unused", max_retries=10)

    async def all_of_them():
        calls = [client.embeddings.create(model="fake", input="x" * (i + 1), encoding_format="float") for i in range(8)]
        return await asyncio.gather(*calls)

    assert [reply.data[0].embedding[0] for reply in asyncio.run(all_of_them())] == [float(i + 1) for i in range(8)]


def test_openai_waits_for_a_server_that_loads(loading):
    """Its retries follow Retry-After."""
    before, client = loading.refused(), openai.OpenAI(base_url=loading.url + "/v1", api_key="unused", max_retries=5)
    assert client.embeddings.create(model="fake", input="hello").data[0].embedding == [5.0]
    assert loading.refused() > before


@pytest.mark.parametrize("names", [{}, {"model": "plumb"}])
def test_huggingface_hub_chat(server, names):
    """Its chat calls are OpenAI's; without a model it sends a name of its own."""
    client = InferenceClient(base_url=server.url + "/v1")
    done = client.chat_completion([{"role": "user", "content": "hi"}], max_tokens=3, **names)
    assert done.choices[0].message.content == "abc"
    parts = client.chat_completion([{"role": "user", "content": "hi"}], max_tokens=3, stream=True, **names)
    assert "".join(part.choices[0].delta.content or "" for part in parts if part.choices) == "abc"


def test_huggingface_hub_predict(server):
    found = InferenceClient().text_classification("hello", model=server.url + "/predict")
    assert (found.label, found.score) == ("LABEL_0", 5.0)


def test_text_embeddings_inference_pairs(server):
    body = {"inputs": [["ab", "hello"], ["ab", "you"]]}
    rows = requests.post(server.url + "/predict", json=body, timeout=5).json()
    assert [row[0]["score"] for row in rows] == [4.98, 2.98]


def test_requests_key_in_the_url(guarded):
    """Trainers send no Authorization header, but a URL may hold the key."""
    host = guarded.url.removeprefix("http://")
    body = {"query": ["hello"]}
    assert requests.post(guarded.url + "/get_reward", json=body, timeout=5).status_code == 401
    assert requests.post(f"http://any:{KEY}@{host}/get_reward", json=body, timeout=5).json()["rewards"] == [5.0]
    assert requests.get(guarded.url + "/health", timeout=5).status_code == 200


def test_aiohttp_many_at_once(server, guarded):
    async def burst(count):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
            async def one(i):
                async with session.post(server.url + "/get_reward", json={"query": ["x" * i]}) as reply:
                    assert reply.status == 200
                    return (await reply.json())["rewards"][0]
            return await asyncio.gather(*(one(i) for i in range(count)))

    async def with_key():
        host = guarded.url.removeprefix("http://")
        async with aiohttp.ClientSession() as session:
            async with session.post(f"http://any:{KEY}@{host}/get_reward", json={"query": ["hello"]}) as reply:
                return reply.status

    assert asyncio.run(burst(500)) == [float(i) for i in range(500)]
    assert asyncio.run(with_key()) == 200


def test_sglang_native_classify(server):
    rows = requests.post(server.url + "/classify", json={"text": ["hello", "you"]}, timeout=5).json()
    assert [row["embedding"] for row in rows] == [[5.0], [3.0]]
