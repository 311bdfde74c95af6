"""The other way round: `plumb score --url` asks OpenRLHF's own reward server."""

import json
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from conftest import ROOT
from test_real_models import POLICY, PROGRAM

CONFIG = """[run]
name = asked
dir = {dir}/run
iterations = 1
[model]
path = {policy}
[data]
prompts = {dir}/prompts.jsonl
heldout = 1
[rollout]
samples_per_prompt = 2
max_new_tokens = 4
[eval]
samples = 1
cool_temperature = 0
bootstrap = 100
[score]
modules = length
"""


def plumb(*arguments):
    done = subprocess.run([PROGRAM, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """A run that stands where responses are to be scored."""
    for needed in [PROGRAM, POLICY]:
        if not needed.exists():
            pytest.skip(f"{needed.relative_to(ROOT)} is missing")
    folder = tmp_path_factory.mktemp("run")
    prompts = ["Name a fruit.", "How do plants eat?"]
    (folder / "prompts.jsonl").write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    (folder / "asked.ini").write_text(CONFIG.format(dir=folder, policy=POLICY))
    for phase in ["eval", "rollout"]:
        plumb(phase, str(folder / "asked.ini"))
    return folder


@contextmanager
def reward_server(version):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(__file__).parent / "openrlhf_server.py"
    server = subprocess.Popen([sys.executable, program, version, "--port", str(port), "--host", "127.0.0.1"])
    try:
        for _ in range(300):
            assert server.poll() is None
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.mark.parametrize("version", ["0.9.0", "0.11.2"])
def test_scores_come_from_openrlhf(sampled, tmp_path, version):
    folder = tmp_path / "copy"
    shutil.copytree(sampled, folder)
    with reward_server(version) as url:
        plumb("score", str(folder / "asked.ini"), f"--run.dir={folder / 'run'}", "--url", url, "--remote.dialect=openrlhf")
    (database,) = folder.rglob("run.db")
    rows = json.loads(plumb("sql", str(database), "--format=json", """
        SELECT p.text AS prompt, s.text AS response, s.finish_reason, r.score, r.error
        FROM rewards r JOIN reward_modules m USING(module_id) JOIN samples s USING(sample_id) JOIN prompts p USING(prompt_id)
        WHERE m.name = 'remote'"""))
    assert len(rows) == 2
    for row in rows:
        dialogue = row["prompt"][row["prompt"].index("<|im_start|>user"):]  # without the policy's own system message
        sent = dialogue + row["response"] + ("<|im_end|>" if row["finish_reason"] == "stop" else "")
        assert row["error"] is None and row["score"] == pytest.approx(len(sent.encode()) / 100)
