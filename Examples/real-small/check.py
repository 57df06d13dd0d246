#!/usr/bin/env python3
"""Opens a student that a run has made with transformers, and compares it with comd.

usage: check.py STUDENT PICTURE [QUESTION]        ($COMD: the program, default .build/release/comd)

Asks the student the question about the picture in both programs and compares the tokens (equal),
the pixel values (within 1/255) and the logits of every position (within 1e-4 of the largest). Then
transformers alone answers. Exits with 1 when they differ.

Needs torch, transformers, safetensors and pillow.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoTokenizer, LlavaForConditionalGeneration
from transformers.utils import logging

TOP = pathlib.Path(__file__).resolve().parents[2]
COMD = os.environ.get("COMD", str(TOP / ".build/release/comd"))
LOGITS_MAX, PIXELS_MAX = 1e-4, 1 / 255 / 0.225
ANSWER_TOKENS = 24


def comd(*arguments):
    done = subprocess.run([COMD, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    student, picture = sys.argv[1], sys.argv[2]
    question = sys.argv[3] if len(sys.argv) == 4 else "What is shown in this picture?"
    logging.disable_progress_bar()
    model, report = LlavaForConditionalGeneration.from_pretrained(
        student, dtype=torch.float32, output_loading_info=True)
    problems = {name: found for name, found in report.items() if found}
    print("tensors missing or left over:", problems or "none")

    # The picture once for comd, and once per patch for transformers.
    tokenizer = AutoTokenizer.from_pretrained(student)
    image_token = model.config.image_token_id
    place = tokenizer.convert_ids_to_tokens(image_token)
    text = f"<|im_start|>user\n{place}\n{question}<|im_end|>\n<|im_start|>assistant\n"
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    same_tokens = tokens == json.loads(
        comd("parity", "tokens", "--model", student, "--text", text, "--json"))["tokens"]
    print(f"{len(tokens)} tokens:", "equal" if same_tokens else "DIFFERENT")
    patches = model.config.image_seq_length
    repeated = [t for token in tokens for t in [token] * (patches if token == image_token else 1)]

    processor = AutoImageProcessor.from_pretrained(student)
    pixels = processor(images=Image.open(picture).convert("RGB"), return_tensors="pt")
    with tempfile.TemporaryDirectory() as scratch:
        seen, found = f"{scratch}/pixels.safetensors", f"{scratch}/logits.safetensors"
        comd("parity", "image", "--model", student, "--image", picture, "--out", seen)
        comd("parity", "logits", "--model", student, "--image", picture, "--out", found,
             "--tokens", ",".join(map(str, tokens)))
        seen, found = load_file(seen)["pixel_values"], load_file(found)["logits"]
    pixel_difference = (seen - pixels["pixel_values"][0]).abs().max().item()
    print(f"{tuple(seen.shape)} pixel values: largest difference {pixel_difference:.2e}")

    with torch.no_grad():
        expected = model(input_ids=torch.tensor([repeated]), **pixels).logits[0]
        said = model.generate(
            input_ids=torch.tensor([repeated]), **pixels, max_new_tokens=ANSWER_TOKENS,
            do_sample=False)[0, len(repeated):]
    difference = ((found - expected).abs().max() / expected.abs().max()).item()
    print(f"{tuple(found.shape)} logits: largest relative difference {difference:.2e}")
    print("transformers answers:", repr(tokenizer.decode(said, skip_special_tokens=True)))
    agree = same_tokens and difference < LOGITS_MAX and pixel_difference < PIXELS_MAX
    sys.exit(0 if agree and not problems else 1)


main()
