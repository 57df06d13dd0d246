#!/usr/bin/env python3
"""Losses of 50 training steps on conversations of odd lengths, by PyTorch in f32 and in bf16.

usage: python make_curves.py FOLDER OUT.safetensors

FOLDER is a model as make_golden.py writes it. Needs torch, transformers, safetensors.

  tokens, masks (all)  the conversations one after the other; mask 1 where a token counts
  lengths (samples)    of each
  f32 (steps)          mean loss of a counted token before each of 50 AdamW steps; step s takes the
                       samples 4s … 4s + 3, round and round; warm-up and cosine, clipped
  bf16 (steps)         the same with the linear layers in bf16 (autocast), weights and sums in f32
The versions that made them are in the file's metadata.
"""
import math, sys
import torch
import transformers
from safetensors.torch import save_file

STEPS, BATCH, WARMUP_RATIO, RATE, CLIP, DECAY = 50, 4, 0.1, 2e-3, 1.0, 0.01
LENGTHS = [5, 31, 17, 64, 2, 47, 23, 11, 58, 3, 29]
VERSIONS = {"torch": torch.__version__, "transformers": transformers.__version__,
            "generator": "make_curves.py"}

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def conversations(vocabulary):
    generator = torch.Generator().manual_seed(50)
    for length in LENGTHS:
        tokens = torch.randint(6, vocabulary, (length,), generator=generator)
        mask = (torch.rand(length, generator=generator) < 0.6).int()
        mask[0], mask[-1] = 0, 1
        yield tokens, mask


def losses(folder, bf16):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    samples = list(conversations(model.config.vocab_size))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = transformers.get_cosine_schedule_with_warmup(
        optimizer, math.ceil(WARMUP_RATIO * STEPS), STEPS)
    found = []
    for step in range(STEPS):
        batch = [samples[(BATCH * step + i) % len(samples)] for i in range(BATCH)]
        total, count = torch.zeros(()), 0
        for tokens, mask in batch:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = model(input_ids=tokens[None], use_cache=False).logits[0].float()
            chosen = mask[1:].bool()
            total = total + torch.nn.functional.cross_entropy(
                logits[:-1][chosen], tokens[1:][chosen], reduction="sum")
            count += int(chosen.sum())
        loss = total / count
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        found.append(loss.item())
    return torch.tensor(found)


folder, out = sys.argv[1:]
samples = list(conversations(transformers.AutoConfig.from_pretrained(folder).vocab_size))
curves = {
    "tokens": torch.cat([tokens for tokens, _ in samples]).float(),
    "masks": torch.cat([mask for _, mask in samples]).float(),
    "lengths": torch.tensor(LENGTHS).float(),
    "f32": losses(folder, False),
    "bf16": losses(folder, True),
}
save_file(curves, out, metadata=VERSIONS)
print("f32", curves["f32"][0].item(), "->", curves["f32"][-1].item(),
      "bf16 off by at most", (curves["bf16"] - curves["f32"]).abs().max().item())
