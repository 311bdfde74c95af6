"""verl's own HTTP code: the reward loop for discriminative reward models, and 0.6's calls of generative ones."""

import asyncio
from types import SimpleNamespace

import aiohttp
import numpy as np
import pytest

from trainer_code import load
from trainer_texts import ByteTokenizer

VALUE = 5 - 0.02
LOOP = "verl.experimental.reward_loop.reward_loop"


class Settings(dict):
    __getattr__ = dict.__getitem__


def worker(version, address, engine, model="fake"):
    """A reward loop worker as its manager makes it; 0.7 and later keep the settings in different places."""
    loop = load(f"verl-{version}", LOOP, given={"verl.utils": {"hf_tokenizer": lambda *_, **__: ByteTokenizer()}})
    rollout, function = Settings(name=engine), Settings(path=None)
    config = Settings(
        actor_rollout_ref=Settings(model=Settings(path=".", tokenizer_path=None)),
        custom_reward_function=function,
        reward_model=Settings(enable=True, rollout=rollout, model=Settings(path=model), reward_manager="naive"),
        reward=Settings(custom_reward_function=function,
                        reward_model=Settings(enable=True, rollout=rollout, model_path=model)))
    return loop.RewardLoopWorker(config, address)


class Rollouts(list):
    """Stands for DataProto: prompts as messages, answers as padded token ids."""

    def __getitem__(self, at):
        return Rollouts(list.__getitem__(self, at)) if isinstance(at, slice) else list.__getitem__(self, at)


def rollouts(answers):
    rows = Rollouts()
    for answer in answers:
        ids = np.frombuffer(answer.encode() + b"<|im_end|>" + bytes(7), dtype=np.uint8)
        prompt_and_answer = np.concatenate([np.ones(3, np.int64), np.ones(len(ids) - 7, np.int64), np.zeros(7, np.int64)])
        rows.append(SimpleNamespace(
            non_tensor_batch={"raw_prompt": [{"role": "user", "content": "ab"}]},
            batch={"responses": ids, "attention_mask": prompt_and_answer}))
    return rows


def scores_of(rows, version, server, engine, model="fake"):
    """Through compute_score_batch, as the trainer calls it."""
    async def all_of_them():
        return await worker(version, server.address, engine, model).compute_score_batch(rows)

    return [reply["reward_score"] for reply in asyncio.run(all_of_them())]


def scores(version, server, engine, answers):
    return scores_of(rollouts(answers), version, server, engine)


@pytest.mark.parametrize("version", ["0.7.0", "0.9.1"])
@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_reward_loop(server, version, engine):
    """0.7.0 sends "activation": false, later versions "use_activation": the score stays raw in both."""
    assert scores(version, server, engine, ["hello", "x" * 200]) == [VALUE, 200 - 0.02]


@pytest.mark.parametrize("version", ["0.7.0", "0.9.1"])
def test_reward_loop_through_a_full_queue(slow, version):
    before, answers = slow.refused(), ["x" * (n + 1) for n in range(8)]
    assert scores(version, slow, "vllm", answers) == [round(n + 0.98, 2) for n in range(8)]
    assert slow.refused() > before


def test_reward_loop_meets_a_server_that_loads(loading):
    """It tries again after 1, 2, 4, ... seconds."""
    before = loading.refused()

    async def both():
        workers = [worker(version, loading.address, "vllm") for version in ["0.7.0", "0.9.1"]]
        return await asyncio.gather(*(one.compute_score(rollouts(["hello"])) for one in workers))

    assert asyncio.run(both()) == [{"reward_score": VALUE}] * 2
    assert loading.refused() >= before + 2


@pytest.mark.parametrize("version", ["0.7.0", "0.9.1"])
def test_an_unknown_model_ends_the_run_at_once(server, version):
    """verl never tries again after a 4xx: the name of a model that is not there must be one."""
    async def call():
        await worker(version, server.address, "vllm", model="gone").compute_score(rollouts(["hello"]))

    with pytest.raises(aiohttp.ClientResponseError) as refused:
        asyncio.run(call())
    assert refused.value.status == 404


def test_a_key_in_the_address(guarded):
    async def call(address):
        return await worker("0.9.1", address, "vllm").compute_score(rollouts(["hello"]))

    assert asyncio.run(call(guarded.address_with_key())) == {"reward_score": VALUE}
    with pytest.raises(aiohttp.ClientResponseError, match="401"):
        asyncio.run(call(guarded.address))


def test_a_restart_in_the_middle(restarts):
    """The first tries of half of the rollouts find no server."""
    async def all_of_them():
        one = worker("0.9.1", restarts.address, "vllm")
        before = await one.compute_score_batch(rollouts(["hello"] * 40))
        restart = asyncio.create_task(asyncio.to_thread(restarts))
        await asyncio.sleep(0)
        during = await one.compute_score_batch(rollouts(["hello"] * 40))
        await restart
        return before + during

    assert asyncio.run(all_of_them()) == [{"reward_score": VALUE}] * 80


def test_generative_reward_model(server):
    """0.6.1 asks a model that judges in words."""
    manager_module = load("verl-0.6.1", "verl.experimental.reward.reward_model")
    manager = object.__new__(manager_module.RewardModelManager)
    manager.config = SimpleNamespace(model=SimpleNamespace(path="plumb"))
    manager.router_address = server.address
    prompts = SimpleNamespace(non_tensor_batch={"raw_prompt": [[{"role": "user", "content": "hi"}]] * 3})
    replies = manager.generate_sequences(prompts, {"temperature": 0.0, "top_p": 1.0, "max_tokens": 3})
    assert [reply.choices[0].message.content for reply in replies] == ["abc"] * 3
