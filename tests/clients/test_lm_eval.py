"""lm-eval's model "local-completions": it scores given texts by their echo, with one more token than it needs."""

import contextlib
import importlib
from types import SimpleNamespace

import pytest

from trainer_code import stand_ins


class Tokenizer:
    """Stands for the Hugging Face tokenizer of the served model: a token is a byte."""

    bos_token_id, eos_token_id, eos_token, pad_token = None, 256, "<end>", "<end>"

    def __call__(self, text, **_):
        rows = [list(text.encode())] if isinstance(text, str) else [list(part.encode()) for part in text]
        return SimpleNamespace(input_ids=rows[0] if isinstance(text, str) else rows)

    def batch_decode(self, rows):
        return [bytes(row).decode() for row in rows]

    @classmethod
    def from_pretrained(cls, *_, **__):
        return cls()


@contextlib.contextmanager
def local_completions(tokenizer):
    name = "lm_eval.models.openai_completions"
    parts = ["lm_eval.models.api_models", "lm_eval.models.utils", "lm_eval.api.model", "lm_eval.utils"]
    with stand_ins("lm-eval-0.4.13", [name, *parts], {"transformers": {"AutoTokenizer": tokenizer}}):
        module = importlib.import_module(name)
        yield lambda server, tokenizer_backend="huggingface", **settings: module.LocalCompletionsAPI(
            base_url=server.url + "/v1/completions", model="plumb", tokenizer_backend=tokenizer_backend, **settings)


@pytest.fixture(scope="module")
def model():
    with local_completions(Tokenizer) as make:
        yield make


def questions(*arguments):
    return [SimpleNamespace(args=a) for a in arguments]


@pytest.mark.parametrize("settings", [
    {}, {"batch_size": 3}, {"num_concurrent": 4}, {"batch_size": 2, "num_concurrent": 2}, {"tokenized_requests": False}])
def test_loglikelihood(server, model, settings):
    """Each token of the fake policy has log-prob -1, and none is likelier."""
    asked = questions(("2 + 2 =", " 4"), ("2 + 2 =", " four"), ("The sky is", " blue, mostly"))
    found = model(server, **settings).loglikelihood(asked)
    assert found == [(-2, True), (-5, True), (-13, True)]


@pytest.mark.parametrize("settings", [{}, {"batch_size": 2}, {"tokenized_requests": False}])
def test_the_tokenizer_of_the_server(server, settings):
    """It finds out by itself that the server has one, and needs no other."""
    with local_completions(None) as make:
        remote = make(server, tokenizer_backend="auto", **settings)
        assert remote.tokenizer_backend == "remote" and remote.eos_string == "<end>"
        assert remote.loglikelihood(questions(("a\nü", " 4"), ("2 + 2 =", " four"))) == [(-2, True), (-5, True)]
        assert remote.loglikelihood_rolling(questions(("a text",))) == [-6]
        assert remote.generate_until(questions(("xy", {"max_gen_toks": 4, "until": ["z"]}))) == ["abcd"]


def test_perplexity(server, model):
    (value,) = model(server, custom_prefix_token_id=10).loglikelihood_rolling(questions(("a text",)))
    assert value == -6


def test_generate(server, model):
    found = model(server, num_concurrent=2).generate_until(questions(
        ("xy", {"max_gen_toks": 4, "until": ["z"]}), ("a longer one", {"max_gen_toks": 4, "until": ["z"]})))
    assert found == ["abcd", "abcd"]


def test_a_server_that_loads(loading, model):
    before = loading.refused()
    assert model(loading).loglikelihood(questions(("2 + 2 =", " 4")))[0][0] == -2
    assert loading.refused() > before
