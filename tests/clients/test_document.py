"""The Python functions of docs/service.md, called by verl's and TRL's own code."""

import asyncio
import contextlib
import importlib
import re
from types import SimpleNamespace

import numpy as np
import pytest

from conftest import ROOT
from test_verl import LOOP, Settings, rollouts
from trainer_code import PACKAGES, load, stand_ins
from trainer_texts import ByteTokenizer


@pytest.fixture
def blocks(server, monkeypatch):
    monkeypatch.setenv("PLUMB_URL", server.url)
    found = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "service.md").read_text(), re.S)
    assert len(found) == 2
    return found


class AnswerTokenizer(ByteTokenizer):
    def decode(self, ids, skip_special_tokens=False):
        text = super().decode(ids)
        return text.replace(self.eos_token, "") if skip_special_tokens else text


def test_verl_function(blocks, tmp_path):
    """0.9.1: its reward loop worker loads the file and calls the function through its reward manager."""
    (tmp_path / "plumb_reward.py").write_text(blocks[0])
    model = Settings(path=".", tokenizer_path=None)
    function = Settings(path=str(tmp_path / "plumb_reward.py"), name="compute_score", reward_kwargs={})
    config = Settings(actor_rollout_ref=Settings(model=model), reward=Settings(
        custom_reward_function=function, reward_model=Settings(enable=False),
        reward_manager=Settings(source="register", name="naive")))
    batch = rollouts(["hello", "x" * 80])
    for row in batch:
        row.non_tensor_batch = {"data_source": "gsm8k", "reward_model": {"ground_truth": "gold"},
                                "extra_info": {"question": "ab"}}
    managers = "verl.experimental.reward_loop.reward_manager"
    parts = [LOOP, "verl.trainer.ppo.reward", "verl.utils.import_utils", "verl.utils.ray_utils", managers,
             managers + ".base", managers + ".naive", managers + ".registry"]
    given = {"verl.utils": {"hf_tokenizer": lambda *_, **__: AnswerTokenizer()}}

    async def score_all():
        worker = importlib.import_module(LOOP).RewardLoopWorker(config)
        return await worker.compute_score_batch(batch)

    with stand_ins("verl-0.9.1", parts, given):
        replies = asyncio.run(score_all())
    assert [reply["reward_score"] for reply in replies] == [4.98, 79.98]


class Rows(np.ndarray):
    def all(self, dim):
        return super().all(axis=dim).view(Rows)

    def nonzero(self, as_tuple):
        assert as_tuple
        return super().nonzero()


TORCH = {"zeros": lambda *shape, device: np.zeros(shape).view(Rows), "nan": float("nan"), "float32": np.float32,
         "tensor": lambda values, dtype, device: np.array(values, dtype), "isnan": lambda rows: np.isnan(rows).view(Rows)}


class Module:
    """Stands for torch.nn.Module."""


@pytest.fixture
def trl_rewards(blocks):
    """GRPOTrainer._calculate_rewards of TRL 1.16.0 with the document's function."""
    functions = {}
    exec(compile(blocks[1], "docs/service.md", "exec"), functions)
    trainer = load("trl-1.16.0", "trl.trainer.grpo_trainer", given={
        "torch": {**TORCH, "nn": SimpleNamespace(Module=Module)}, "accelerate.utils": {"gather": lambda rows: rows},
        "trl.trainer.utils": {"is_async_callable": asyncio.iscoroutinefunction},
        "trl.extras.profiling": {"profiling_context": lambda *_: contextlib.nullcontext()}})
    grpo = object.__new__(trainer.GRPOTrainer)
    grpo.accelerator, grpo.state, grpo.environments = SimpleNamespace(device="cpu"), SimpleNamespace(global_step=1), None
    grpo._log_completion_extra = grpo._log_metric = None
    grpo.reward_funcs, grpo.reward_processing_classes = [functions["plumb_reward"]], [None]
    grpo.reward_func_names = ["plumb_reward"]

    def rewards(prompts, completions):
        rows = [{"prompt": prompt, "solution": "gold"} for prompt in prompts]
        ids = [[1]] * len(completions)
        return grpo._calculate_rewards(rows, prompts, completions, ids)[:, 0].tolist()

    return rewards


def test_trl_function_texts(trl_rewards):
    found = trl_rewards(["ab", "ab"], ["hello", "FAIL"])
    assert found[0] == pytest.approx(4.98) and np.isnan(found[1])


def test_trl_function_chats(trl_rewards):
    prompt = [{"role": "user", "content": "ab"}]
    completions = [[{"role": "assistant", "content": text}] for text in ["hello", "you"]]
    assert trl_rewards([prompt] * 2, completions) == pytest.approx([4.98, 2.98])


def test_functions_with_a_key(blocks, guarded, monkeypatch):
    monkeypatch.setenv("PLUMB_URL", f"http://{guarded.address_with_key()}")
    functions = {}
    for block in blocks:
        exec(compile(block, "docs/service.md", "exec"), functions)
    assert functions["plumb_reward"](["ab"], ["hello"]) == [4.98]
    assert asyncio.run(functions["compute_score"]("gsm8k", "hello", "gold", {"question": "ab"})) == 4.98


@pytest.mark.parametrize("package, file, parts", [
    ("openrlhf-0.11.2", "openrlhf/cli/train_ppo_ray.py", ["--reward.remote_url"]),
    ("openrlhf-0.9.10", "openrlhf/cli/train_ppo_ray.py", ["--remote_rm_url"]),
    ("llamafactory-0.9.5", "llamafactory/hparams/finetuning_args.py", ["reward_model", "reward_model_type"])])
def test_named_options_exist(package, file, parts):
    """The trainers' options that the document tells to set."""
    document, program = (ROOT / "docs" / "service.md").read_text(), (PACKAGES / package / file).read_text()
    for part in parts:
        assert f"{part} " in document and re.search(rf'"{part}"|^    {part}:', program, re.M), part
