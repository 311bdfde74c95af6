"""The KServe routes under Triton's own client, and under NeMo-Aligner's classes on PyTriton's client."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
import tritonclient.http
from tritonclient.utils import InferenceServerException

from conftest import KEY
from trainer_code import load, stand_ins
from trainer_texts import CHAT, VALUE

MODEL = "reward_model"
pytestmark = pytest.mark.filterwarnings("ignore:Client network and/or connection timeout")


@pytest.fixture
def triton(server):
    with tritonclient.http.InferenceServerClient(server.address) as client:
        yield client


def test_readiness_while_it_loads(loading):
    with tritonclient.http.InferenceServerClient(loading.address) as client:
        assert client.is_server_live()
        assert not client.is_server_ready() and not client.is_model_ready(MODEL)
        loading.wait_until_ready()
        assert client.is_server_ready() and client.is_model_ready(MODEL)


def sentences(texts, binary):
    wanted = tritonclient.http.InferInput("sentences", [len(texts), 1], "BYTES")
    wanted.set_data_from_numpy(np.array([[text.encode()] for text in texts], dtype=np.object_), binary_data=binary)
    return [wanted]


def test_information(triton):
    assert triton.is_server_live() and triton.is_server_ready() and triton.is_model_ready(MODEL)
    assert "binary_tensor_data" in triton.get_server_metadata()["extensions"]
    assert triton.get_model_metadata(MODEL)["outputs"] == [{"name": "rewards", "datatype": "FP32", "shape": [-1, 1]}]
    assert {tensor["name"] for tensor in triton.get_model_config(MODEL)["input"]} == {
        "sentences", "tokens", "sequence_lengths"}
    assert not triton.is_model_ready("gone")


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_sentences(triton, binary_in, binary_out):
    outputs = [tritonclient.http.InferRequestedOutput("rewards", binary_data=binary_out)]
    reply = triton.infer(MODEL, sentences([CHAT, "hello", "ü" * 8], binary_in), outputs=outputs, request_id="a7")
    assert reply.get_response()["id"] == "a7"
    assert reply.as_numpy("rewards").dtype == np.float32
    assert reply.as_numpy("rewards").tolist() == np.array([[VALUE], [5], [16]], np.float32).tolist()


@pytest.mark.parametrize("way", ["deflate", "gzip"])
def test_compressed_reply(triton, way):
    reply = triton.infer(MODEL, sentences(["hello"], True), response_compression_algorithm=way)
    assert reply.as_numpy("rewards").tolist() == [[5]]


def test_a_version_of_a_model(triton):
    assert triton.is_model_ready(MODEL, "1")
    assert triton.infer(MODEL, sentences(["hello"], True), model_version="1").as_numpy("rewards").tolist() == [[5]]


def test_what_is_not_there(triton):
    """Its exceptions need a text under "error"."""
    for call in [lambda: triton.infer(MODEL, sentences(["hello"], True), model_version="2"),
                 triton.get_model_repository_index, lambda: triton.get_inference_statistics(MODEL)]:
        with pytest.raises(InferenceServerException, match="there is no route") as refused:
            call()
        assert refused.value.status() == "404"


def test_compressed_requests_are_refused(triton):
    with pytest.raises(InferenceServerException, match="not compressed") as refused:
        triton.infer(MODEL, sentences(["hello"], True), request_compression_algorithm="gzip")
    assert refused.value.status() == "415"


def test_keys(guarded):
    with tritonclient.http.InferenceServerClient(guarded.address) as client:
        assert client.is_server_ready()
        for call in [lambda: client.get_model_metadata(MODEL), lambda: client.infer(MODEL, sentences(["hello"], True))]:
            with pytest.raises(InferenceServerException, match="access key"):
                call()
        reply = client.infer(MODEL, sentences(["hello"], True), headers={"Authorization": f"Bearer {KEY}"})
        assert reply.as_numpy("rewards").tolist() == [[5]]


def test_an_unknown_model(triton):
    with pytest.raises(InferenceServerException, match="unknown model") as refused:
        triton.infer("gone", sentences(["hello"], True))
    assert refused.value.status() == "404"


@pytest.fixture(scope="module")
def pytriton():
    """PyTriton's client over the installed tritonclient.http; its gRPC half stands aside."""
    parts = ["pytriton.client." + name for name in
             ["client", "utils", "asyncio_utils", "auth", "exceptions", "warnings"]]
    parts += ["pytriton.constants", "pytriton.exceptions"]
    parts += ["pytriton.model_config." + name for name in ["parser", "triton_model_config", "common"]]
    grpc = {name: type(name, (), {}) for name in ["InferenceServerClient", "InferResult"]}
    given = {"grpc": {"RpcError": type("RpcError", (Exception,), {})}, "tritonclient.grpc": grpc,
             "tritonclient.grpc.aio": grpc, "pytriton.triton": {"TRITON_ACCESS_HEADER": "triton-access"}}
    with stand_ins("nvidia-pytriton-0.7.0", ["pytriton.client", *parts], given):
        yield importlib.import_module("pytriton.client")


class Tensor(np.ndarray):
    def cpu(self):
        return self

    def numpy(self):
        return np.asarray(self)

    def size(self, axis):
        return self.shape[axis]

    def unsqueeze(self, axis):
        return np.expand_dims(self, axis).view(Tensor)


def pad(tensor, widths, value):
    return np.pad(tensor, [(0, 0), widths], constant_values=value).view(Tensor)


@pytest.fixture
def reward_client(pytriton):
    """NeMo-Aligner's client of a remote reward model, as its PPO actor makes it."""
    clients = load("nemo-aligner-0.7.0", "nemo_aligner.models.nlp.gpt.reward_critic_clients",
                   real=["nemo_aligner.servers.http_communicator"],
                   given={"pytriton.client": {"FuturesModelClient": pytriton.FuturesModelClient},
                          "torch": {"tensor": lambda value, device: np.array(value),
                                    "nn": SimpleNamespace(functional=SimpleNamespace(pad=pad))},
                          "nemo_aligner.utils.server_utils": {"FutureResult": object},
                          "nemo_aligner.utils.distributed": {
                              "run_if_model_parallel_src": lambda function, *a, **k: function(*a, **k),
                              "broadcast_2d_tensor_within_mp": lambda tensor: tensor}})
    made = []

    def make(server, pad_to_length=None):
        host, port = server.address.split(":")
        model = SimpleNamespace(name=MODEL, ip=host, port=int(port))
        made.append(clients.RemoteGPTRMClient(SimpleNamespace(reward_model=model, pad_to_length=pad_to_length)))
        return made[-1]

    yield make
    for client in made:
        client.communicator.close()


def rollout_batch(texts):
    width = max(len(text.encode()) for text in texts)
    rows = [list(text.encode()) + [0] * (width - len(text.encode())) for text in texts]
    return {"response_tokens": np.array(rows, np.int64).view(Tensor),
            "response_lengths": np.array([len(text.encode()) for text in texts], np.int64).view(Tensor)}


@pytest.mark.parametrize("pad_to_length", [None, 128])
def test_nemo_aligner_sends_token_ids(server, reward_client, pad_to_length):
    result = reward_client(server, pad_to_length).infer_rm(rollout_batch([CHAT, "hello"])).result()
    assert result.tolist() == np.array([[VALUE], [5]], np.float32).tolist()


def test_nemo_aligner_waits_for_a_server_that_loads(loading, reward_client):
    result = reward_client(loading).infer_rm(rollout_batch([CHAT])).result()
    assert result.tolist() == np.array([[VALUE]], np.float32).tolist()


def test_pytriton_drops_a_key_from_the_url(guarded, pytriton):
    """NeMo-Aligner can send none: docs/service.md says so."""
    with pytest.raises(pytriton.exceptions.PyTritonClientTimeoutError):
        pytriton.ModelClient(f"http://{guarded.address_with_key()}", MODEL, lazy_init=False, init_timeout_s=0.2)


def test_pytriton_sends_sentences(server, pytriton):
    texts = np.array([[CHAT.encode()], [b"hello"]])
    with pytriton.ModelClient(server.url, MODEL) as client:
        assert client.infer_batch(sentences=texts)["rewards"].tolist() == np.array([[VALUE], [5]], np.float32).tolist()
        assert client.infer_sample(sentences=texts[1])["rewards"].tolist() == [5]
