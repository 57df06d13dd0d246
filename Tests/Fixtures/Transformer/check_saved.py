#!/usr/bin/env python3
"""Opens folders that this project saved with transformers and compares the logits.

usage: python check_saved.py FOLDER LOGITS.safetensors TOKENS [IMAGE] [+ FOLDER ...]
       (TOKENS like 1,2,3)

LOGITS is what `comd parity logits --model FOLDER --tokens TOKENS [--image IMAGE]` wrote. The image
token stands once among TOKENS. IMAGE is a picture, or a .safetensors with its `pixel_values` and, of
tiles, `image_sizes`.
Prints the largest difference relative to the largest logit; fails from 1e-4, and when a tensor of
the folder is missing or left over.
"""
import os
import sys
import torch
from safetensors.torch import load_file
from transformers import (
    AutoConfig, AutoImageProcessor, AutoModelForCausalLM, AutoTokenizer,
    LlavaForConditionalGeneration, LlavaNextForConditionalGeneration)



def check(folder, logits_path, tokens, image=None):
    tokens = [int(t) for t in tokens.split(",")]
    config = AutoConfig.from_pretrained(folder)
    kinds = {"llava": LlavaForConditionalGeneration, "llava_next": LlavaNextForConditionalGeneration}
    kind = kinds.get(config.model_type, AutoModelForCausalLM)
    model, report = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    problems = {k: v for k, v in report.items() if v}
    print("loading:", problems)
    inputs = {}
    found = load_file(logits_path)["logits"]
    if config.model_type in kinds:
        # How many positions tiles take depends on the picture.
        count = config.image_seq_length
        if config.model_type == "llava_next":
            count = len(found) - len(tokens) + 1
        tokens = sum(([t] * count if t == config.image_token_index else [t] for t in tokens), [])
    if image and image.endswith(".safetensors"):
        inputs = load_file(image)
        if "image_sizes" in inputs:
            inputs["image_sizes"] = inputs["image_sizes"].long()
    elif image:
        from PIL import Image
        processor = AutoImageProcessor.from_pretrained(folder)
        inputs = processor(images=Image.open(image).convert("RGB"), return_tensors="pt")
    if os.path.exists(os.path.join(folder, "tokenizer.json")):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        print("tokenizer:", tokenizer("Hello there, 42!")["input_ids"])
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([tokens]), **inputs).logits[0]
    difference = (found - expected).abs().max() / expected.abs().max()
    print(f"{config.model_type}: {tuple(found.shape)} logits, "
          f"largest relative difference {difference:.2e}")
    return difference < 1e-4 and not problems


groups = [[]]
for argument in sys.argv[1:]:
    if argument == "+":
        groups.append([])
    else:
        groups[-1].append(argument)
sys.exit(0 if all([check(*group) for group in groups]) else 1)
