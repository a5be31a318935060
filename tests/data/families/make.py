#!/usr/bin/env python3
"""Makes the goldens of families whose public classes could not be run here: the formulas of transformers' modeling_phi3.py and
modeling_olmo2.py, typed in again with torch alone. Run with the names of the cases; needs torch (1.13 or newer).

    python3 tests/data/families/make.py phi3_linear phi4_linear olmo2_linear
"""
import json
import math
import os
import struct
import sys

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = {
    "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 136,
    "vocab_size": 307, "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_cache": True,
    "attention_bias": False, "attention_dropout": 0.0, "initializer_range": 0.02, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0},
}
CASES = {
    "phi3_linear": {
        "architectures": ["Phi3ForSequenceClassification"], "model_type": "phi3", **SIZES, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "rope_scaling": None, "max_position_embeddings": 512, "original_max_position_embeddings": 512, "sliding_window": 7,
        "embd_pdrop": 0.0, "resid_pdrop": 0.0, "bos_token_id": 301, "eos_token_id": 300, "pad_token_id": 300,
    },
    "phi4_linear": {
        "architectures": ["Phi3ForSequenceClassification"], "model_type": "phi3", **SIZES, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": True, "partial_rotary_factor": 0.75, "max_position_embeddings": 2048,
        "original_max_position_embeddings": 256, "sliding_window": 262144, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
        "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.05, 1.2, 1.5, 1.9, 2.6], "long_factor": [1.0, 1.3, 2.0, 5.0, 9.0, 20.0]},
        "bos_token_id": 300, "eos_token_id": 300, "pad_token_id": 300,
    },
    "olmo2_linear": {
        "architectures": ["Olmo2ForSequenceClassification"], "model_type": "olmo2", **SIZES, "rms_norm_eps": 1e-6, "rope_theta": 500000.0,
        "rope_scaling": None, "max_position_embeddings": 512, "eos_token_id": 299, "pad_token_id": 302,
    },
}


def make_tensors(c, seed):
    random = torch.Generator().manual_seed(seed)
    hidden, ffn, size = c["hidden_size"], c["intermediate_size"], c["hidden_size"] // c["num_attention_heads"]
    queries, keys = c["num_attention_heads"] * size, c["num_key_value_heads"] * size
    tensors = {}

    def matrix(name, rows, columns, scale=None):
        values = torch.randn(rows, columns, generator=random, dtype=torch.float64) * (scale or 1.3 / math.sqrt(columns))
        tensors[name + ".weight"] = values.to(torch.bfloat16)

    def norm(name, length):
        tensors[name + ".weight"] = (1 + 0.4 * torch.randn(length, generator=random, dtype=torch.float64)).to(torch.bfloat16)

    matrix("model.embed_tokens", c["vocab_size"], hidden, 1.0)
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        if c["model_type"] == "phi3":
            norm(at + "input_layernorm", hidden)
            matrix(at + "self_attn.qkv_proj", queries + 2 * keys, hidden)
            matrix(at + "mlp.gate_up_proj", 2 * ffn, hidden)
        else:
            norm(at + "post_feedforward_layernorm", hidden)
            norm(at + "self_attn.q_norm", queries)
            norm(at + "self_attn.k_norm", keys)
            matrix(at + "self_attn.q_proj", queries, hidden)
            matrix(at + "self_attn.k_proj", keys, hidden)
            matrix(at + "self_attn.v_proj", keys, hidden)
            matrix(at + "mlp.gate_proj", ffn, hidden)
            matrix(at + "mlp.up_proj", ffn, hidden)
        norm(at + "post_attention_layernorm", hidden)
        matrix(at + "self_attn.o_proj", hidden, queries)
        matrix(at + "mlp.down_proj", hidden, ffn)
    norm("model.norm", hidden)
    matrix("score", 1, hidden)
    return tensors


class Model:
    """The forward pass in one type. In bfloat16, norms and softmax go through float32 and come back, as the public classes do it."""

    def __init__(self, config, tensors, dtype):
        self.c, self.dtype = config, dtype
        self.w = {name: tensor.to(dtype) for name, tensor in tensors.items()}
        self.wide = torch.float64 if dtype == torch.float64 else torch.float32
        self.heads, self.groups = config["num_attention_heads"], config["num_key_value_heads"]
        self.size = config["hidden_size"] // self.heads

    def norm(self, x, name):
        wide = x.to(self.wide)
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.c["rms_norm_eps"])
        return self.w[name + ".weight"] * wide.to(self.dtype)

    def linear(self, x, name):
        return x @ self.w[name + ".weight"].T

    def angles(self, length):
        rotated = int(self.size * self.c.get("partial_rotary_factor", 1.0))
        powers = torch.arange(0, rotated, 2, dtype=self.wide) / rotated
        factors, magnitude, scaling = torch.ones(rotated // 2, dtype=self.wide), 1.0, self.c.get("rope_scaling")
        if scaling:
            original = self.c["original_max_position_embeddings"]
            assert length <= original
            factors = torch.tensor(scaling["short_factor"], dtype=self.wide)
            magnitude = math.sqrt(1 + math.log(self.c["max_position_embeddings"] / original) / math.log(original))
        frequencies = 1.0 / (factors * self.c["rope_theta"] ** powers)
        angle = torch.arange(length, dtype=self.wide)[:, None] * frequencies[None, :]
        angle = torch.cat((angle, angle), -1)
        return (angle.cos() * magnitude).to(self.dtype), (angle.sin() * magnitude).to(self.dtype)

    @staticmethod
    def rotate(x, cos, sin):
        rotated = cos.shape[-1]
        turned, rest = x[..., :rotated], x[..., rotated:]
        half = torch.cat((-turned[..., rotated // 2:], turned[..., :rotated // 2]), -1)
        return torch.cat((turned * cos + half * sin, rest), -1)

    def attention(self, x, at):
        length, queries, keys = x.shape[0], self.heads * self.size, self.groups * self.size
        if self.c["model_type"] == "phi3":
            q, k, v = self.linear(x, at + "self_attn.qkv_proj").split([queries, keys, keys], -1)
        else:
            q = self.norm(self.linear(x, at + "self_attn.q_proj"), at + "self_attn.q_norm")
            k = self.norm(self.linear(x, at + "self_attn.k_proj"), at + "self_attn.k_norm")
            v = self.linear(x, at + "self_attn.v_proj")
        q, k, v = (t.view(length, -1, self.size).transpose(0, 1) for t in (q, k, v))
        cos, sin = self.angles(length)
        q, k = self.rotate(q, cos, sin), self.rotate(k, cos, sin)
        k, v = (t.repeat_interleave(self.heads // self.groups, 0) for t in (k, v))
        scores = q @ k.transpose(1, 2) * self.size ** -0.5
        row, column = torch.arange(length)[:, None], torch.arange(length)[None, :]
        window = self.c.get("sliding_window") or length
        scores = scores.masked_fill((column > row) | (row - column >= window), torch.finfo(self.dtype).min)
        mixed = torch.softmax(scores.to(self.wide), -1).to(self.dtype) @ v
        return self.linear(mixed.transpose(0, 1).reshape(length, -1), at + "self_attn.o_proj")

    def feed_forward(self, x, at):
        if self.c["model_type"] == "phi3":
            gate, up = self.linear(x, at + "mlp.gate_up_proj").chunk(2, -1)
        else:
            gate, up = self.linear(x, at + "mlp.gate_proj"), self.linear(x, at + "mlp.up_proj")
        return self.linear(up * torch.nn.functional.silu(gate), at + "mlp.down_proj")

    def run(self, ids):
        x = self.w["model.embed_tokens.weight"][torch.tensor(ids)]
        for layer in range(self.c["num_hidden_layers"]):
            at = f"model.layers.{layer}."
            if self.c["model_type"] == "phi3":
                x = x + self.attention(self.norm(x, at + "input_layernorm"), at)
                x = x + self.feed_forward(self.norm(x, at + "post_attention_layernorm"), at)
            else:
                x = x + self.norm(self.attention(x, at), at + "post_attention_layernorm")
                x = x + self.norm(self.feed_forward(x, at), at + "post_feedforward_layernorm")
        x = self.norm(x, "model.norm")
        return x, self.linear(x, "score")[:, 0]


def inputs(c, seed):
    """Batches as transformers makes them: padded on the right, with a mask. A row is read at its rightmost token that is not padding."""
    random, pad, eos = torch.Generator().manual_seed(seed), c["pad_token_id"], c["eos_token_id"]

    def text(length):
        return torch.randint(5, 290, (length,), generator=random).tolist()

    def batch(name, *rows):
        most = max(len(row) for row in rows)
        return name, [row + [pad] * (most - len(row)) for row in rows], [[1] * len(row) + [0] * (most - len(row)) for row in rows]

    for length in (1, 6, 7, 8, 41):
        yield batch(f"single_{length}", text(length))
    yield batch("batch_right", text(5), text(21), text(10))
    yield batch("pad_id_inside", text(6) + [pad] + text(6))
    yield batch("pad_id_first", [pad] + text(12))
    yield batch("pad_id_last_unmasked", text(11) + [pad, pad])
    yield batch("conversation", text(7) + [eos] + text(4) + [eos])
    yield batch("conversations_right", text(7) + [eos] + text(4) + [eos], text(5) + [eos], text(3) + [eos] + text(4) + [eos])


def make(name):
    c, seed = CASES[name], sum(name.encode())
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    tensors = make_tensors(c, seed)
    modes = {"f64": torch.float64, "f32": torch.float32, "bf16": torch.bfloat16}
    models = {mode: Model(c, tensors, dtype) for mode, dtype in modes.items()}
    found = []
    for title, rows, masks in inputs(c, seed + 1):
        read = [max([i for i, token in enumerate(row) if token != c["pad_token_id"]], default=0) for row in rows]
        entry = {
            "name": title, "padding": "right" if len(rows) > 1 else "none", "input_ids": rows, "attention_mask": masks, "pooled_index": read,
        }
        for mode, model in models.items():
            runs = [model.run(row) for row in rows]
            digits = 17 if mode == "f64" else 9
            entry[mode] = {
                "hidden": [[float(f"{v:.{digits}g}") for v in x[at].tolist()] for (x, _), at in zip(runs, read)],
                "score": [float(f"{s[at].item():.{digits}g}") for (_, s), at in zip(runs, read)],
            }
        found.append(entry)
    errors = [abs(a - b) for e in found for a, b in zip(e["bf16"]["score"], e["f64"]["score"])]
    print(f"{name}: scores {min(s for e in found for s in e['f64']['score']):.2f} to {max(s for e in found for s in e['f64']['score']):.2f}, "
          f"bf16's mean error {sum(errors) / len(errors):.3f}, largest {max(errors):.3f}")
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(c, file, indent=2)
        file.write("\n")
    with open(os.path.join(folder, "goldens.json"), "w") as file:
        json.dump({
            "model_kind": "linear", "family": c["model_type"], "pool": "rightmost_non_pad", "checkpoint_dtype": "bf16",
            "embedding_normalizer": None, "made_with": {"make.py": "formulas of transformers typed in again", "torch": torch.__version__},
            "stats": {}, "inputs": found,
        }, file, separators=(",", ":"))
    header, data = {}, b""
    for key, tensor in tensors.items():
        raw = tensor.contiguous().view(torch.int16).numpy().tobytes()
        header[key] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


for case in sys.argv[1:]:
    make(case)
