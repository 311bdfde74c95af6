"""OpenRLHF's own reward server, `openrlhf.cli.serve_rm` of a pinned version, with a reward model that gives the bytes of
a text / 100: openrlhf_server.py VERSION --port PORT --host 127.0.0.1"""

import contextlib
import runpy
import sys

from trainer_code import PACKAGES, stand_ins


class OnDevice(list):
    def to(self, _):
        return self


class Tokenizer:
    def __call__(self, texts, add_special_tokens, **_):
        assert not add_special_tokens
        return {"input_ids": OnDevice(texts), "attention_mask": OnDevice(texts)}


class Rewards(list):
    def tolist(self):
        return list(self)


class RewardModel:
    device = "cpu"

    def eval(self):
        pass

    def __call__(self, texts, _):
        return Rewards(len(text.encode()) / 100 for text in texts)


def main():
    package = "openrlhf-" + sys.argv.pop(1)
    given = {"openrlhf.models": {"get_llm_for_sequence_regression": lambda *_, **__: RewardModel()},
             "openrlhf.utils": {"get_tokenizer": lambda *_, **__: Tokenizer()},
             "torch": {"no_grad": contextlib.nullcontext}}
    with stand_ins(package, ["__main__", "openrlhf.cli", "openrlhf.utils.config"], given):
        runpy.run_path(str(PACKAGES / package / "openrlhf" / "cli" / "serve_rm.py"), run_name="__main__")


main()
