"""Gemma2Model of transformers in bf16 on CUDA, as a peer that runs when it is told (the protocol of peerbench.c).

  torch_gemma2.py eager|flex_attention FOLDER

FOLDER has the config.json of the shape; the weights are random. SDPA is no peer: it ignores the softcap.
"""
import json
import os
import resource
import sys
import time


def peak_mb(torch):
    return (torch.cuda.max_memory_allocated() >> 20) + (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)


def main():
    attention, folder = sys.argv[1:3]
    start = time.perf_counter()
    import torch
    from transformers import Gemma2Config, Gemma2Model

    device = os.environ.get("LDLVK_TORCH_DEVICE", "cuda")
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA device")
    with open(os.path.join(folder, "config.json")) as file:
        fields = json.load(file)
    fields.pop("model_type"), fields.pop("torch_dtype", None)
    config = Gemma2Config(**fields, attn_implementation=attention, use_cache=False)
    torch.manual_seed(1)
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16)
        model = Gemma2Model(config).eval()

    def wait():
        if device == "cuda":
            torch.cuda.synchronize()

    def ids(text, count):
        state, made = 12345 + text, []
        for _ in range(count):
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            made.append((state >> 8) % config.vocab_size)
        return made

    wait()
    name = torch.cuda.get_device_name() if device == "cuda" else device
    print(f"ready {time.perf_counter() - start:.6f} {peak_mb(torch) if device == 'cuda' else 0} {name} ({attention})", flush=True)
    for line in sys.stdin:
        _, texts, tokens = line.split()
        batch = torch.tensor([ids(t, int(tokens)) for t in range(int(texts))], device=device)
        wait()
        begin = time.perf_counter()
        with torch.inference_mode():
            # What reward heads read leaves the device, as it does with the other runtimes.
            model(input_ids=batch).last_hidden_state[:, -1].float().cpu()
        print(f"{time.perf_counter() - begin:.6f} {peak_mb(torch) if device == 'cuda' else 0}", flush=True)


main()
