"""LLaMA-Factory's own HTTP code (reward_model_type api)."""

from types import SimpleNamespace

import numpy as np
import pytest

from trainer_code import load
from trainer_texts import ANSWER, PROMPT, VALUE, ByteTokenizer

UTILS = "llamafactory.train.ppo.ppo_utils"
TORCH = {"Tensor": np.array, "cat": lambda parts, dim: np.concatenate(parts, axis=dim)}


def trainer(url):
    module = load("llamafactory-0.9.5", "llamafactory.train.ppo.trainer", real=[UTILS], given={"torch": TORCH})
    settings = SimpleNamespace(reward_model_type="api")
    fake = SimpleNamespace(finetuning_args=settings, tokenizer=ByteTokenizer(), reward_model=url)
    return lambda queries, responses: module.CustomPPOTrainer.get_rewards(fake, queries, responses)


def ids(text):
    return np.frombuffer(text.encode(), dtype=np.uint8)


def test_rewards_of_a_batch(server):
    get_rewards = trainer(server.url + "/v1/score/evaluation")
    assert get_rewards([ids(PROMPT)] * 2, [ids(ANSWER), ids("x" * 70)]).tolist() == [VALUE, 70 - 0.02]


def test_a_key_in_the_url(guarded):
    url = f"http://{guarded.address_with_key()}/v1/score/evaluation"
    assert trainer(url)([ids(PROMPT)], [ids(ANSWER)]).tolist() == [VALUE]


def test_it_does_not_try_again(loading):
    """It reads `scores` from whatever comes: a server that still loads ends the run, so wait for /ready first."""
    with pytest.raises(KeyError, match="scores"):
        trainer(loading.url + "/v1/score/evaluation")([ids(PROMPT)], [ids(ANSWER)])
