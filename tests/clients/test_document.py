"""The Python functions of docs/service.md."""

import asyncio
import re

import pytest

from conftest import ROOT


@pytest.fixture
def functions(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PLUMB_URL", server.url)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "service.md").read_text(), re.S)
    assert len(blocks) == 2
    found = {}
    for block in blocks:
        exec(compile(block, "docs/service.md", "exec"), found)
    return found


def test_verl_function(functions):
    score = asyncio.run(functions["compute_score"]("gsm8k", "hello", "gold", {"question": "ab"}))
    assert score == 4.98


def test_trl_function(functions):
    texts = functions["plumb_reward"](prompts=["ab", "ab"], completions=["hello", "FAIL"], trainer_state=None)
    assert texts == [4.98, None]
    chats = functions["plumb_reward"](prompts=[[{"role": "user", "content": "ab"}]],
                                      completions=[[{"role": "assistant", "content": "hello"}]])
    assert chats == [4.98]
