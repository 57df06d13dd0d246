#!/usr/bin/env python3
"""Tiny GGUF models with a vocabulary, and the logits that transformers computes with their weights.

usage: python make_gguf.py      (needs torch, transformers, safetensors, gguf, numpy, xllamacpp)

Writes gguf/{llama,llama3,qwen2,gemma3}.gguf, laid out as llama.cpp's converter does it: rows of q
and k permuted for Llama, the divisors of its stretched angles as a tensor, 1 added to Gemma's norms,
projections of the feed-forward network in Q8_0, all else in F32. Beside each NAME-golden.safetensors:
  input_ids (T)      as f32: the tokens of TEXT, as llama.cpp cuts it too
  logits (T, V)      by transformers, of the weights as they are stored
  greedy (8)         as f32: how llama.cpp itself goes on without the end token, on the same weights
                     all in F32
The versions that made them are in each file's metadata.
"""
import json
import math
import os
import tempfile
import urllib.request
from importlib.metadata import version

import gguf
import numpy as np
import torch
import xllamacpp
from gguf import GGMLQuantizationType as Q
from safetensors.torch import save_file
from transformers import (
    Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM, Qwen2Config,
    Qwen2ForCausalLM)

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gguf")
VERSIONS = {"generator": "make_gguf.py"} | {
    name: version(name) for name in ("torch", "transformers", "gguf", "xllamacpp")}
TEXT = "the cat<|sep|> that the hat"
MERGES = ["t h", "a t", "th e", "\u0120 the", "c at", "h at", "\u0120 th", "\u0120th at"]
CONTROLS = ["<|end|>", "<|sep|>"]
# The alphabet of byte-level BPE, as far as it is needed, then what the merges make.
TOKENS = CONTROLS + [chr(c) for c in range(ord("a"), ord("z") + 1)] + ["\u0120", "\u010a"] + [
    m.replace(" ", "") for m in MERGES]
TOKENS += [f"unused{n}" for n in range(48 - len(TOKENS))]
NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down"}
GEMMA_NAMES = NAMES | {
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm"}

torch.set_num_threads(1)


def permute(weights, heads):
    """Halves of a head become neighbours, as llama.cpp rotates them."""
    shape = weights.shape
    halves = weights.reshape(heads, 2, shape[0] // heads // 2, *shape[1:])
    return halves.swapaxes(1, 2).reshape(shape)


def gguf_name(name, names):
    module, kind = name.rsplit(".", 1)
    if module.startswith("model.layers."):
        _, _, layer, module = module.split(".", 3)
        return f"blk.{layer}.{names[module]}.{kind}"
    return f"{names[module]}.{kind}"


def divisors(config):
    """What Llama 3.1 divides the frequencies by: 1, the factor, or something between."""
    rope, pairs = config.rope_parameters, config.head_dim // 2
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    values = []
    for pair in range(pairs):
        turns = rope["original_max_position_embeddings"] / (
            2 * math.pi * rope["rope_theta"] ** (pair / pairs))
        kept = min(max((turns - low) / (high - low), 0), 1)
        values.append(1 / ((1 - kept) / factor + kept))
    return np.array(values, dtype=np.float32)


def write(path, model, quantised):
    config = model.config
    architecture = config.model_type.removesuffix("_text")
    is_gemma = architecture == "gemma3"
    rope = config.rope_parameters["full_attention"] if is_gemma else config.rope_parameters
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if is_gemma:
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
        writer.add_sliding_window(config.sliding_window)
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", divisors(config))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3 if t in CONTROLS else 1 for t in TOKENS])
    writer.add_token_merges(MERGES)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.numpy()
        if is_gemma and name.endswith("norm.weight"):
            values = values + 1
        if architecture == "llama" and ("q_proj" in name or "k_proj" in name):
            values = permute(values, config.num_attention_heads if "q_proj" in name
                             else config.num_key_value_heads)
        values = np.ascontiguousarray(values)
        if quantised and ".mlp." in name:
            writer.add_tensor(
                gguf_name(name, GEMMA_NAMES if is_gemma else NAMES), gguf.quantize(values, Q.Q8_0), raw_dtype=Q.Q8_0)
        else:
            writer.add_tensor(gguf_name(name, GEMMA_NAMES if is_gemma else NAMES), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def by_llama_cpp(path, count):
    """The tokens of TEXT as llama.cpp cuts it, and those with which it goes on."""
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 128, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.warmup = False
    server = xllamacpp.Server(params)
    request = urllib.request.Request(
        server.listening_address + "/tokenize", method="POST",
        data=json.dumps({"content": TEXT, "parse_special": True}).encode(),
        headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        ids = json.load(reply)["tokens"]
    answer = server.handle_completions({
        "prompt": TEXT, "temperature": 0, "n_predict": count, "cache_prompt": False,
        "ignore_eos": True, "n_probs": 2})
    return ids, [step["id"] for step in answer["choices"][0]["logprobs"]["content"]]


def golden(name, model, seed):
    generator = torch.Generator().manual_seed(seed)
    base = 0 if "gemma" in model.config.model_type else 1
    for parameter, p in sorted(model.named_parameters()):
        noise = torch.randn(p.shape, generator=generator)
        with torch.no_grad():
            if p.ndim == 1:
                p.copy_(0.1 * noise + (base if "norm" in parameter else 0))
            else:
                p.copy_(noise * (0.1 if "embed" in parameter else 2 / p.shape[1] ** 0.5))
                if ".mlp." in parameter:
                    p.copy_(torch.from_numpy(
                        gguf.dequantize(gguf.quantize(p.numpy(), Q.Q8_0), Q.Q8_0)))
    write(os.path.join(HERE, name + ".gguf"), model, quantised=True)
    with tempfile.TemporaryDirectory() as folder:
        exact = os.path.join(folder, "f32.gguf")
        write(exact, model, quantised=False)
        ids, greedy = by_llama_cpp(exact, 8)
    with torch.no_grad():
        logits = model.eval()(torch.tensor([ids])).logits[0]
        own = model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False,
            max_new_tokens=8, min_new_tokens=8, eos_token_id=None, pad_token_id=0,
            suppress_tokens=[0])[0][len(ids):]
    assert own.tolist() == greedy, (own.tolist(), greedy)
    save_file(
        {"input_ids": torch.tensor(ids).float(), "logits": logits.contiguous(),
         "greedy": torch.tensor(greedy).float()},
        os.path.join(HERE, name + "-golden.safetensors"), metadata=VERSIONS)
    print(name, [TOKENS[i] for i in ids], greedy)


os.makedirs(HERE, exist_ok=True)
shape = dict(
    vocab_size=len(TOKENS), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64)
golden("llama", LlamaForCausalLM(LlamaConfig(
    **shape, rms_norm_eps=1e-5, rope_theta=1000.0, tie_word_embeddings=True)), 11)
golden("qwen2", Qwen2ForCausalLM(Qwen2Config(
    **shape, rms_norm_eps=1e-6, rope_theta=1e4, tie_word_embeddings=False)), 12)
golden("llama3", LlamaForCausalLM(LlamaConfig(
    **{**shape, "num_attention_heads": 2, "num_key_value_heads": 1}, rms_norm_eps=1e-5,
    tie_word_embeddings=True, rope_parameters={
        "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32})), 13)
# Seven layers: llama.cpp lets every sixth see everything.
golden("gemma3", Gemma3ForCausalLM(Gemma3TextConfig(
    **{**shape, "num_hidden_layers": 7, "num_attention_heads": 2, "num_key_value_heads": 1,
       "intermediate_size": 32}, head_dim=12, query_pre_attn_scalar=12, sliding_window=4,
    rope_parameters={
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        "full_attention": {"rope_type": "linear", "rope_theta": 1e5, "factor": 4.0}})), 20)
