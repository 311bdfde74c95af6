"""OpenRLHF's own HTTP code, from the version that sends `query` alone to the one that sends a rollout a call."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from trainer_code import RAY, load
from trainer_texts import ANSWER, CHAT, PROMPT, VALUE, ByteTokenizer

TEXTS = [PROMPT + "x" * n for n in range(256)]
LENGTHS = [n - 0.02 for n in range(256)]


def helpers(version):
    return load(f"openrlhf-{version}", "openrlhf.utils.remote_rm_utils",
                given={"ray": RAY, "torch": {"tensor": np.array}})


def executor(version, url):
    agent = load(f"openrlhf-{version}", "openrlhf.utils.agent")
    return agent.SingleTurnAgentExecutor(url)


class Engine:
    """Stands for vLLM: the answer of the test."""

    async def generate(self, prompt_token_ids, sampling_params, multi_modal_data=None):
        answer = SimpleNamespace(token_ids=list(ANSWER.encode()), text=ANSWER, finish_reason="stop", logprobs=None)
        return SimpleNamespace(outputs=[answer])


def rollout(version, url):
    parameters = SimpleNamespace(max_tokens=64, logprobs=None)
    return executor(version, url).execute(PROMPT, "gold", parameters, 1024, ByteTokenizer(), Engine())


@pytest.mark.parametrize("version, more", [("0.4.6", []), ("0.5.9", [[PROMPT] * 256])])
def test_one_call_for_the_whole_batch(server, version, more):
    rewards = helpers(version).remote_rm_fn_ray.remote(server.url + "/get_reward", TEXTS, *more)
    assert rewards.tolist() == LENGTHS


class Tensor(np.ndarray):
    def split(self, sizes):
        return np.split(self, np.cumsum(sizes)[:-1])


def concatenate(parts, dim):
    return np.concatenate(parts, axis=dim).view(Tensor)


@pytest.mark.parametrize("servers, sizes", [(1, [256]), (2, [100, 156]), (3, [1] * 256)])
def test_shards_are_joined_as_tensors(server, servers, sizes):
    """0.9.0: the trainer splits the joined `rewards`, `scores` and each of `extra_logs` by the sizes of its samples."""
    model = helpers("0.9.0").RemoteRewardModel.remote(SimpleNamespace(), [server.url + "/get_reward"] * servers)
    replies = model.get_rewards.remote(TEXTS, [PROMPT] * 256, ["gold"] * 256)
    assert len(replies) == servers
    maker = load("openrlhf-0.9.0", "openrlhf.trainer.ppo_utils.experience_maker",
                 given={"torch": {"cat": concatenate, "as_tensor": np.array}})
    samples = [SimpleNamespace(sequences=[None] * size, info={}) for size in sizes]
    maker.update_samples_with_rewards(replies, samples)
    assert [reward for sample in samples for reward in sample.rewards] == LENGTHS
    assert [score for sample in samples for score in sample.scores] == LENGTHS
    assert {frozenset(sample.info) for sample in samples} == {frozenset(["score", "reward", "fake", "other"])}
    assert [value for sample in samples for value in sample.info["fake"]] == LENGTHS


def test_a_server_without_a_share_of_the_batch(server):
    """0.9.0 and 0.9.10 send it an empty query, and join its empty lists."""
    model = helpers("0.9.0").RemoteRewardModel.remote(SimpleNamespace(), [server.url + "/get_reward"] * 3)
    replies = model.get_rewards.remote([CHAT], [PROMPT], ["gold"])
    assert [reply["rewards"] for reply in replies] == [[VALUE], [], []]

    several = executor("0.9.10", [server.url + "/get_reward"] * 3)
    replies = asyncio.run(several._fetch_rewards_via_http([CHAT], [PROMPT], ["gold"]))
    assert [reply["scores"] for reply in replies] == [[VALUE], [], []]
    assert replies[1]["extra_logs"] == {"fake": [], "other": []}


@pytest.mark.parametrize("version", ["0.9.10", "0.11.2"])
def test_rollout_of_one_turn(server, version):
    output = asyncio.run(rollout(version, server.url + "/get_reward"))
    assert output["reward"] == [VALUE] and output["scores"] == [VALUE]
    assert output["extra_logs"].keys() == {"fake", "other"}
    assert all(isinstance(v, float) for values in output["extra_logs"].values() for v in values)


@pytest.mark.parametrize("version", ["0.9.10", "0.11.2"])
def test_many_rollouts_through_a_full_queue(slow, version):
    """The refused ones come again after a second and get through."""
    before = slow.refused()

    async def burst():
        return await asyncio.gather(*(rollout(version, slow.url + "/get_reward") for _ in range(6)))

    assert [output["reward"] for output in asyncio.run(burst())] == [[VALUE]] * 6
    assert slow.refused() > before


def test_a_key_in_the_url(guarded):
    for url in [f"http://any:wrong@{guarded.address}/get_reward", f"http://{guarded.address_with_key()}/get_reward"]:
        output = executor("0.11.2", url)._fetch_rewards_via_http([CHAT], [PROMPT], [""])
        if "wrong" in url:
            with pytest.raises(RuntimeError, match="5 times"):
                asyncio.run(output)
        else:
            assert asyncio.run(output)[0]["rewards"] == [VALUE]
            assert helpers("0.4.6").remote_rm_fn_ray.remote(url, [CHAT]).tolist() == [VALUE]


@pytest.mark.parametrize("version", ["0.9.10", "0.11.2"])
def test_restarts_in_the_middle_of_rollouts(restarts, version):
    """What a stopped server has taken it answers; what comes between two servers is sent again."""
    async def rollouts():
        found = []
        for _ in range(8):
            batch = [asyncio.create_task(rollout(version, restarts.url + "/get_reward")) for _ in range(40)]
            if len(found) in (80, 200):
                await asyncio.to_thread(restarts)
            found += [output["reward"] for output in await asyncio.gather(*batch)]
        return found

    assert asyncio.run(rollouts()) == [[VALUE]] * 320


def test_a_server_that_loads(loading):
    """Every version tries again each second, up to 5 (0.4.6: 10) times."""
    before, url = loading.refused(), loading.url + "/get_reward"
    query_alone, with_prompts, sharded = (helpers(version) for version in ["0.4.6", "0.5.9", "0.9.0"])
    rollouts = [rollout(version, url) for version in ["0.9.10", "0.11.2"]]
    calls = [lambda: query_alone.remote_rm_fn_ray.remote(url, [CHAT]).tolist(),
             lambda: with_prompts.remote_rm_fn_ray.remote(url, [CHAT], [PROMPT]).tolist(),
             lambda: sharded.RemoteRewardModel.remote(None, url).get_rewards.remote([CHAT], [PROMPT], ["a"])[0]["rewards"],
             lambda: asyncio.run(rollouts[0])["reward"],
             lambda: asyncio.run(rollouts[1])["reward"]]
    with ThreadPoolExecutor(len(calls)) as pool:
        assert [reply.result() for reply in [pool.submit(call) for call in calls]] == [[VALUE]] * len(calls)
    assert loading.refused() >= before + len(calls)
