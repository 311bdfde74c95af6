"""The same dialogues through every protocol to `plumb serve` with real models: R^3 on MiniLM, SmolLM2 as the policy."""

import cohere
import numpy as np
import openai
import pytest
import requests
import tritonclient.http

import test_llama_factory
import test_openrlhf
import test_verl
from conftest import ROOT, Server
from test_lm_eval import local_completions, questions
from trainer_texts import ByteTokenizer

PROGRAM = ROOT / "build" / "plumb"
POLICY = ROOT / "models" / "smollm2-135m-instruct" / "SmolLM2-135M-Instruct.Q4_1.gguf"
DIALOGUES = [("Name a fruit.", "An apple is a fruit."), ("Name a fruit.", "I like trains and bridges."),
             ("How do plants eat?", "Plants make sugar from light, water and air; it is called photosynthesis."),
             ("How do plants eat?", "Plants plants plants plants plants."), ("Wie heißt du?", "Ich heiße Plumb. 🙂")]
LABELS = ["A pear.", "A pear.", "By photosynthesis.", "By photosynthesis.", ""]


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    encoder = ROOT / "models" / "all-minilm-l6-v2"
    for needed in [PROGRAM, POLICY, encoder]:
        if not needed.exists():
            pytest.skip(f"{needed.relative_to(ROOT)} is missing")
    running = Server(tmp_path_factory.mktemp("serve") / "log", f"--serve.policy={POLICY}", "--serve.route_scalar=/reward",
                     "--serve.cache_mb=0", command=[PROGRAM, "serve", "configs/serve.ini"])
    yield running
    running.stop()


def native(server, labels=None):
    samples = [{"prompt": prompt, "response": answer} for prompt, answer in DIALOGUES]
    for sample, label in zip(samples, labels or []):
        sample["reference_answer"] = label or None
    reply = requests.post(server.url + "/v1/rewards", json={"samples": samples}, timeout=60).json()
    return [row["score"] for row in reply["data"]]


def near(scores, by=1e-5):
    return pytest.approx(scores, abs=by)


def prompts():
    return [f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n" for prompt, _ in DIALOGUES]


def chats():
    return [prompt + answer + "<|im_end|>" for prompt, (_, answer) in zip(prompts(), DIALOGUES)]


def test_the_scores_differ(serve):
    scores = native(serve)
    assert len(set(scores)) == len(scores) and native(serve, LABELS) != near(scores)


def test_through_openrlhf(serve):
    old = test_openrlhf.helpers("0.4.6").remote_rm_fn_ray.remote(serve.url + "/get_reward", chats())
    assert old.tolist() == near(native(serve))
    model = test_openrlhf.helpers("0.9.0").RemoteRewardModel.remote(None, serve.url + "/get_reward")
    (reply,) = model.get_rewards.remote(chats(), prompts(), LABELS)
    assert reply["rewards"] == reply["extra_logs"]["r3"] == near(native(serve, LABELS))
    assert set(reply["extra_logs"]) == {"r3", "length", "repetition"}


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_through_verl(serve, engine):
    rows = test_verl.rollouts([answer for _, answer in DIALOGUES])
    for row, (prompt, _) in zip(rows, DIALOGUES):
        row.non_tensor_batch["raw_prompt"] = [{"role": "user", "content": prompt}]
    assert test_verl.scores_of(rows, "0.9.1", serve, engine, "r3") == near(native(serve))


def test_through_llama_factory(serve):
    get_rewards = test_llama_factory.trainer(serve.url + "/v1/score/evaluation")
    ids = test_llama_factory.ids
    answers = [ids(answer + ByteTokenizer.eos_token) for _, answer in DIALOGUES]
    assert get_rewards([ids(prompt) for prompt in prompts()], answers).tolist() == near(native(serve))


def test_through_triton(serve):
    texts = np.array([[chat.encode()] for chat in chats()], dtype=np.object_)
    with tritonclient.http.InferenceServerClient(serve.address) as client:
        asked = tritonclient.http.InferInput("sentences", list(texts.shape), "BYTES")
        asked.set_data_from_numpy(texts)
        assert client.infer("reward_model", [asked]).as_numpy("rewards")[:, 0].tolist() == near(native(serve))


def test_through_slime(serve):
    for (prompt, answer), label, score in zip(DIALOGUES, LABELS, native(serve, LABELS)):
        sample = {"prompt": prompt, "response": answer, "label": label}
        assert requests.post(serve.url + "/reward", json=sample, timeout=60).json() == near(score)


def test_through_cohere(serve):
    client = cohere.ClientV2("unused", base_url=serve.url)
    reply = client.rerank(model="r3", query=DIALOGUES[0][0], documents=[answer for _, answer in DIALOGUES[:2]])
    first, second = native(serve)[:2]
    assert {row.index: row.relevance_score for row in reply.results} == near({0: first, 1: second})


def test_through_lm_eval(serve):
    """With the server's tokenizer. Log-likelihoods against the log-probs that `openai` reads; what the policy itself
    continues with is greedy."""
    client = openai.OpenAI(base_url=serve.url + "/v1", api_key="unused")
    context = "The capital of France is"
    greedy = client.completions.create(model="plumb", prompt=context, max_tokens=2, temperature=0, logprobs=1).choices[0]
    asked = [(context, greedy.text), (context, " made of cheese")]
    with local_completions(None) as make:
        model = make(serve, tokenizer_backend="auto", batch_size=2)
        assert model.tokenizer.eos_token == "<|im_end|>" and model.tokenizer.eos_token_id == 2
        found = model.loglikelihood(questions(*asked))
        after_context = len(model.tokenizer.encode(context))
    assert found[0] == (near(sum(greedy.logprobs.token_logprobs), 1e-3), True)  # token by token, and all at once
    echoed = client.completions.create(model="plumb", prompt="".join(asked[1]), max_tokens=0, echo=True, logprobs=1)
    assert found[1] == (near(sum(echoed.choices[0].logprobs.token_logprobs[after_context:])), False)
    assert found[0][0] > found[1][0]
