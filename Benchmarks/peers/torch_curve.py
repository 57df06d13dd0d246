"""The loss curve of a run's training, computed by PyTorch and transformers in f32.

usage: torch_curve.py --model FOLDER --steps FILE [--most N] [--out FILE]

FOLDER is the student as the training began with it (Hugging Face form); FILE is what
`comd parity training` writes: samples, learning rates and the run's losses. Each step's gradient is
that of the mean loss over all counted tokens, clipped by its norm, applied with torch.optim.AdamW. All of
it is in f32 but the loss that is told: PyTorch's f32 sum over a large vocabulary is wrong by some 1e-5, so it
is taken of the f32 logits in f64.
Prints the largest difference between the two curves; exits with 1 where it is above --tolerance.
"""

import argparse
import json
import sys

import torch
import transformers


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--steps", required=True)
    parser.add_argument("--most", type=int)
    parser.add_argument("--out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    with open(chosen.steps) as file:
        recipe, *steps = map(json.loads, file)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        chosen.model, dtype=torch.float32, attn_implementation="eager"
    ).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=0.0, betas=tuple(recipe["betas"]), eps=recipe["epsilon"],
        weight_decay=recipe["weight_decay"])  # fmt: skip
    rows = []
    for step in steps[: chosen.most]:
        tokens = sum(sum(sample["mask"]) for sample in step["samples"])
        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for sample in step["samples"]:
            ids = torch.tensor([sample["tokens"]])
            labels = torch.where(torch.tensor([sample["mask"]]) == 1, ids, -100)
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1].flatten(0, 1)
            loss = torch.nn.functional.cross_entropy(
                logits, labels[:, 1:].flatten(), ignore_index=-100, reduction="sum")  # fmt: skip
            (loss / tokens).backward()
            with torch.no_grad():
                total += torch.nn.functional.cross_entropy(
                    logits.double(), labels[:, 1:].flatten(), ignore_index=-100,
                    reduction="sum").item()  # fmt: skip
        if recipe["clip_norm"] > 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe["clip_norm"])
        for group in optimizer.param_groups:
            group["lr"] = step["learning_rate"]
        optimizer.step()
        rows.append((step["step"], step.get("loss"), total / tokens))
        if step["step"] % 10 == 0:
            print(f"step {step['step']}: {rows[-1][1]} and {rows[-1][2]:.6f}", file=sys.stderr)
    apart = [abs(ours - theirs) for _, ours, theirs in rows if ours is not None]
    print(json.dumps({
        "steps": len(apart), "largest_difference": max(apart), "first": rows[0], "last": rows[-1],
        "torch": torch.__version__, "transformers": transformers.__version__}))  # fmt: skip
    if chosen.out:
        with open(chosen.out, "w") as file:
            for row in rows:
                print(json.dumps(row), file=file)
    return 0 if len(apart) == len(rows) and max(apart) <= chosen.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
