#!/usr/bin/env python3
"""Greedy continuations of SmolLM2-135M-Instruct by llama.cpp, as the golden file smollm2.json.

usage: python make_smollm2.py MODELS_DIR      (needs gguf, numpy, xllamacpp)

llama.cpp rounds activations to 8 bits before it multiplies them with quantised weights; that is
not what the weights say. So the GGUF is first dequantised to F32, and llama.cpp runs on that, with
an F32 cache: then both sides compute the same function. For the record the file also holds what
llama.cpp answers on the quantised file itself.
"""
import json, os, sys, tempfile
from importlib.metadata import version
import gguf, numpy as np, xllamacpp

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
TOKENS = 64
CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
PROMPTS = [
    CHAT.format("Explain how rain forms."),
    CHAT.format("Write a short story about a lighthouse keeper."),
    "The theory of evolution says that",
    "def fibonacci(n):\n",
    CHAT.format("List three reasons why the sky is blue, in plain words."),
]


def dequantise(source, target):
    reader = gguf.GGUFReader(source)
    architecture = str(bytes(reader.fields["general.architecture"].parts[-1]), "utf-8")
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=sub)
    for tensor in reader.tensors:
        shape = list(reversed([int(n) for n in tensor.shape]))
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(shape)
        writer.add_tensor(tensor.name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def greedy(path):
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 512, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.warmup = False
    server = xllamacpp.Server(params)
    answers = []
    for prompt in PROMPTS:
        answer = server.handle_completions({
            "prompt": prompt, "temperature": 0, "n_predict": TOKENS,
            "cache_prompt": False, "return_tokens": True, "n_probs": 2})
        answers.append(answer)
    return answers


source = os.path.join(sys.argv[1], NAME)
with tempfile.TemporaryDirectory() as folder:
    exact = os.path.join(folder, "f32.gguf")
    dequantise(source, exact)
    exact_answers = greedy(exact)
quantised_answers = greedy(source)


def steps(answer):
    return answer["choices"][0]["logprobs"]["content"]


def tokens(answer):
    return [step["id"] for step in steps(answer)]


def margin(answer):
    """How near the nearest tie was: the least gap between the two likeliest tokens."""
    tops = [step["top_logprobs"] for step in steps(answer)]
    return round(min(top[0]["logprob"] - top[1]["logprob"] for top in tops), 5)


cases = [{
    "prompt": prompt, "prompt_tokens": exact["usage"]["prompt_tokens"], "tokens": tokens(exact),
    "text": exact["choices"][0]["text"], "margin_min": margin(exact),
    "tokens_of_quantised": tokens(quantised)}
    for prompt, exact, quantised in zip(PROMPTS, exact_answers, quantised_answers)]
with open(os.path.join(HERE, "smollm2.json"), "w") as f:
    made_by = f"make_smollm2.py, xllamacpp {version('xllamacpp')}, gguf {version('gguf')}"
    f.write('{"made_by": "%s", "model": "%s", "cases": [\n' % (made_by, NAME))
    f.write(",\n".join(json.dumps(case) for case in cases) + "\n]}\n")
for exact, quantised in zip(exact_answers, quantised_answers):
    same = sum(a == b for a, b in zip(tokens(exact), tokens(quantised)))
    print("RESULT", len(tokens(exact)), exact["usage"], margin(exact), "same places", same)
