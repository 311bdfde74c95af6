"""families.json: configs and logits of tiny models of every family and RoPE scaling, from transformers.

python make_families.py OUT.json      (needs torch and transformers; written with transformers 5.23.0)

Weights are not stored: both sides compute them from the tensor's name (weight_values here, families_test.cpp there).
"""

import json
import pathlib
import sys

import numpy as np
import torch
import transformers

FAMILIES = {
    "llama": (transformers.LlamaForCausalLM, transformers.LlamaConfig, {"attention_bias": True, "head_dim": 8}),
    "mistral": (transformers.MistralForCausalLM, transformers.MistralConfig, {"head_dim": 8, "sliding_window": None}),
    "qwen2": (transformers.Qwen2ForCausalLM, transformers.Qwen2Config, {}),
    "qwen3": (transformers.Qwen3ForCausalLM, transformers.Qwen3Config, {"head_dim": 8, "tie_word_embeddings": True}),
}
SCALINGS = {
    "default": {},
    "linear": {"factor": 4.0},
    "llama3": {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 16},
}
IDS = list(range(2, 32))
ROWS = [0, 13, 29]


def weight_values(name, shape):
    """Numbers in [-0.4, 0.4] (norms: 1 more) in steps of 1/2500, by 32-bit integer arithmetic."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 % 2**32
    with np.errstate(over="ignore"):
        x = np.uint32(seed) + np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(2654435761)
        x ^= x >> np.uint32(15)
        x *= np.uint32(2246822519)
        x ^= x >> np.uint32(13)
    values = ((x % np.uint32(2001)).astype(np.float32) - np.float32(1000)) / np.float32(2500)
    if name.endswith("norm.weight"):
        values += np.float32(1)
    return torch.from_numpy(values.reshape(shape))


def main():
    cases = []
    for family, (model_class, config_class, extra) in FAMILIES.items():
        for scaling, parameters in SCALINGS.items():
            config = config_class(
                vocab_size=40, hidden_size=32, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, attn_implementation="eager",
                rope_parameters={"rope_type": scaling, "rope_theta": 500.0, **parameters}, **extra)
            model = model_class(config).eval()
            for name, parameter in model.named_parameters():
                parameter.data = weight_values(name, tuple(parameter.shape))
            model.tie_weights()
            with torch.no_grad():
                logits = model(torch.tensor([IDS])).logits[0]
            written = json.loads(config.to_json_string(use_diff=False))
            written = {k: v for k, v in written.items() if not k.startswith("_") and k != "transformers_version"}
            cases.append({"family": family, "scaling": scaling, "config": {**written, "architectures": [model_class.__name__]},
                          "parameters": sum(p.numel() for p in model.parameters()),
                          "logits": [[float(f"{v:.7g}") for v in logits[row].tolist()] for row in ROWS]})
    out = {"produced_by": f"transformers=={transformers.__version__}, float32, eager attention; make_families.py",
           "ids": IDS, "rows": ROWS, "fields": "logits: [rows, vocabulary] of the given rows", "cases": cases}
    text = json.dumps(out).replace('{"family"', '\n{"family"')
    pathlib.Path(sys.argv[1]).write_text(text + "\n")


if __name__ == "__main__":
    main()
