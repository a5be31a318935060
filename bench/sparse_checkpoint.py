#!/usr/bin/env python3
"""Writes a made-up model of Gemma-2 27B's true shape with int8 weights, as `ldlvk convert` lays it out, into a sparse file.

    bench/sparse_checkpoint.py FOLDER [LAYERS]

30 GB in 46 layers, of which some 1 GB takes space on the disk: of each matrix every 64th row is seeded, so that no layer is
without effect, and the rest is a hole that reads as zeros. Of the embeddings the first 4096 tokens are there. For measuring how a model
larger than memory loads and runs:

    printf '{"input_ids":[2,106,1645,108,25,33,411,107,108]}\\n' | ldlvk score --model FOLDER --input - --device vulkan:0 --memory 2GiB
"""
import json, os, random, struct, sys
from array import array

folder, layers = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 46
HIDDEN, FFN, Q, KV, VOCAB, HEAD, TOKENS, EVERY = 4608, 36864, 4096, 2048, 256000, 4096, 4096, 64
rng = random.Random(27)

tensors = [("model.embed_tokens.weight", "BF16", [VOCAB, HIDDEN])]
def matrix(name, n, k):
    tensors.append((name, "I8", [n, k]))
    tensors.append((name + ".scales", "F16", [n, k // 32]))
for i in range(layers):
    at = f"model.layers.{i}."
    tensors += [(f"{at}{norm}.weight", "F32", [HIDDEN]) for norm in
                ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")]
    for name, n, k in (("self_attn.q_proj", Q, HIDDEN), ("self_attn.k_proj", KV, HIDDEN), ("self_attn.v_proj", KV, HIDDEN), ("self_attn.o_proj", HIDDEN, Q),
                       ("mlp.gate_proj", FFN, HIDDEN), ("mlp.up_proj", FFN, HIDDEN), ("mlp.down_proj", HIDDEN, FFN)):
        matrix(f"{at}{name}.weight", n, k)
tensors.append(("model.norm.weight", "F32", [HIDDEN]))
for head, places, outputs in (("regression_layer", (0, 2, 4), 220), ("gating_layer", (0, 3, 6), 22)):
    for place, (n, k) in zip(places, ((HEAD, HIDDEN), (HEAD, HEAD), (outputs, HEAD))):
        tensors += [(f"{head}.network.{place}.weight", "F32", [n, k]), (f"{head}.network.{place}.bias", "F32", [n])]
# One number each, last: what comes before stays aligned.
tensors += [(name + ".factor", "F32", [1]) for name, kind, _ in tensors if kind == "I8"]

BYTES = {"BF16": 2, "F16": 2, "F32": 4, "I8": 1}
header, end = {"__metadata__": {"format": "pt", "ldlvk.version": "1", "ldlvk.weights": "int8", "ldlvk.group_size": "32", "ldlvk.source_type": "bf16",
    "ldlvk.conversion": "made-up", "ldlvk.layout": "W[n, k] = factor * scales[n, k / 32] * stored[n, k], rows padded with zeros to a multiple of 32"}}, 0
for name, kind, shape in tensors:
    size = BYTES[kind]
    for n in shape: size *= n
    header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + size]}
    end += size
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-(8 + len(text)) % 4096)

def floats(count, scale):
    # A pool of random numbers, read from a random place: drawing each would take an hour.
    return array("f", [scale * POOL[(start + j) % len(POOL)] for start in (rng.randrange(len(POOL)),) for j in range(count)])
POOL = [rng.gauss(0, 1) for _ in range(65521)]
NOISE = bytes(rng.randrange(256) for _ in range(1 << 20))

os.makedirs(folder, exist_ok=True)
shard = "model-00001-of-00001.safetensors"
with open(os.path.join(folder, shard), "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text)
    data = f.tell()
    f.truncate(data + end)
    for name, kind, shape in tensors:
        at, rows, columns = data + header[name]["data_offsets"][0], shape[0], shape[-1]
        if kind == "BF16":
            for row in range(TOKENS):
                halves = array("H", (x >> 16 for x in array("I", floats(columns, 1 / 68).tobytes())))
                f.seek(at + row * columns * 2); f.write(halves.tobytes())
        elif kind == "I8":
            for row in range(rng.randrange(EVERY), rows, EVERY):
                start = rng.randrange(len(NOISE) - columns)
                f.seek(at + row * columns); f.write(NOISE[start:start + columns])
        elif kind == "F16":
            # Bytes have a standard deviation of 74: rows of about unit length. Rows of zeros may have it too.
            scale = struct.pack("<e", 1 / (74 * (columns * 32) ** 0.5))
            f.seek(at); f.write(scale * (rows * columns))
        elif name.endswith(".factor"):
            f.seek(at); f.write(struct.pack("<f", 1))
        elif name.endswith(".bias") or "norm" in name:
            f.seek(at); f.write(floats(columns, 0.1).tobytes())
        else:
            for row in range(rows):
                f.seek(at + row * columns * 4); f.write(floats(columns, columns ** -0.5).tobytes())
def dump(name, value): json.dump(value, open(os.path.join(folder, name), "w"), indent=1)
dump("model.safetensors.index.json", {"metadata": {"total_size": end}, "weight_map": {name: shard for name, _, _ in tensors}})
dump("config.json", {"model_type": "gemma2", "hidden_size": HIDDEN, "num_hidden_layers": layers, "num_attention_heads": 32, "num_key_value_heads": 16,
    "head_dim": 128, "intermediate_size": FFN, "vocab_size": VOCAB, "max_position_embeddings": 8192, "query_pre_attn_scalar": 144,
    "attn_logit_softcapping": 50.0, "sliding_window": 4096, "rope_theta": 10000.0, "rms_norm_eps": 1e-6, "hidden_activation": "gelu_pytorch_tanh",
    "torch_dtype": "bfloat16"})
