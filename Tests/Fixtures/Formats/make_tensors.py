#!/usr/bin/env python3
"""Golden tensors: stored blocks beside what the reference implementations decode.

Makes quantised.gguf + quantised-expected.safetensors, plain.safetensors, and bf16/f16 files as the
`safetensors` package writes them. Made with gguf 0.19.0, safetensors 0.8.0, torch 2.15.0.
Run: python make_tensors.py (beside this file).
"""
import json
import os

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file as save_torch

HERE = os.path.dirname(os.path.abspath(__file__))
random = np.random.default_rng(20260)


def half(count):
    """Finite halves of both signs, subnormal ones among them."""
    values = (random.standard_normal(count) * 10.0 ** random.integers(-7, 2, count)).astype(np.float16)
    return values.view(np.uint8).reshape(count, 2)


def blocks(kind, count):
    """Random blocks; the places of the f16 scales get finite numbers."""
    size = gguf.GGML_QUANT_SIZES[kind][1]
    data = random.integers(0, 256, (count, size), dtype=np.uint8)
    scales = {Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q4_K: [0, 2],
              Q.Q5_K: [0, 2], Q.Q6_K: [208]}[kind]
    for offset in scales:
        data[:, offset:offset + 2] = half(count)
    return data


def quantised():
    writer = gguf.GGUFWriter(os.path.join(HERE, "quantised.gguf"), "llama")
    writer.add_uint32("test.unsigned", 4_000_000_000)
    writer.add_int8("test.signed", -5)
    writer.add_float32("test.float", 1e-5)
    writer.add_bool("test.bool", True)
    writer.add_string("test.text", "grüße 你好")
    writer.add_array("test.strings", ["a", "", "ж"])
    writer.add_array("test.integers", [1, -2, 3])
    expected = {}
    shapes = {Q.Q4_0: (3, 32), Q.Q4_1: (5, 96), Q.Q5_0: (7, 64), Q.Q5_1: (1, 32), Q.Q8_0: (3, 160),
              Q.Q4_K: (5, 256), Q.Q5_K: (3, 256), Q.Q6_K: (3, 512)}
    for kind, (rows, columns) in shapes.items():
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        data = blocks(kind, rows * columns // elements).reshape(rows, columns // elements * size)
        writer.add_tensor(kind.name, data, raw_shape=data.shape, raw_dtype=kind)
        expected[kind.name] = gguf.dequantize(data, kind).astype(np.float32)
    f32 = random.standard_normal((3, 5)).astype(np.float32)
    f16 = random.standard_normal((1, 7)).astype(np.float16)
    bf16 = torch.randn(9, 3, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    writer.add_tensor("F32", f32)
    writer.add_tensor("F16", f16)
    writer.add_tensor("BF16", bf16.view(torch.uint16).numpy().view(np.uint8), raw_dtype=Q.BF16)
    expected |= {"F32": f32, "F16": f16.astype(np.float32), "BF16": bf16.float().numpy()}
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_numpy(expected, os.path.join(HERE, "quantised-expected.safetensors"))


def plain():
    """One file per width, from values that rounding treats in every way."""
    values = torch.tensor([0.0, -0.0, 1.0, -2.5, 1e-8, 6e-8, 65504.0, 65520.0, 3.0e38, 1e-40,
                           1.00390625, 1.01171875, 1.0048828125, 1.00048828125, 1.00146484375,
                           float("inf"), float("-inf")])
    noise = torch.randn(5, 7, generator=torch.Generator().manual_seed(2)) * 3
    tensors = {"b.values": values, "a.noise": noise, "c.scalar": torch.tensor(0.1), "d.empty": torch.zeros(0, 4)}
    for name, dtype in [("f32", torch.float32), ("f16", torch.float16), ("bf16", torch.bfloat16)]:
        save_torch({k: v.to(dtype) for k, v in tensors.items()}, os.path.join(HERE, f"plain-{name}.safetensors"),
                   metadata={"format": "pt"})


def sharded():
    folder = os.path.join(HERE, "sharded")
    os.makedirs(folder, exist_ok=True)
    files = {"model-00001-of-00002.safetensors": {"a": torch.arange(6.0).reshape(2, 3)},
             "model-00002-of-00002.safetensors": {"b": torch.arange(4.0).to(torch.bfloat16),
                                                  "ids": torch.arange(3)}}
    for name, tensors in files.items():
        save_torch(tensors, os.path.join(folder, name), metadata={"format": "pt"})
    index = {"metadata": {"total_size": 56}, "weight_map": {t: f for f, ts in files.items() for t in ts}}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump(index, f, indent=2)


def llama_gguf():
    """A tiny Llama as llama.cpp's converter lays it out: q and k rows permuted per head."""
    heads, kv_heads, size, hidden = 4, 2, 6, 24
    writer = gguf.GGUFWriter(os.path.join(HERE, "llama.gguf"), "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(10)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(size)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    expected = {}

    def permute(weights, heads):
        return (weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:]).swapaxes(1, 2)
                .reshape(weights.shape))

    def add(name, hf, shape, heads=None):
        value = random.standard_normal(shape).astype(np.float32)
        expected[hf] = value
        writer.add_tensor(name, np.ascontiguousarray(permute(value, heads)) if heads else value)

    add("token_embd.weight", "model.embed_tokens.weight", (11, hidden))
    add("output_norm.weight", "model.norm.weight", (hidden,))
    layer = "model.layers.0."
    add("blk.0.attn_norm.weight", layer + "input_layernorm.weight", (hidden,))
    add("blk.0.ffn_norm.weight", layer + "post_attention_layernorm.weight", (hidden,))
    add("blk.0.attn_q.weight", layer + "self_attn.q_proj.weight", (heads * size, hidden), heads)
    add("blk.0.attn_k.weight", layer + "self_attn.k_proj.weight", (kv_heads * size, hidden), kv_heads)
    add("blk.0.attn_v.weight", layer + "self_attn.v_proj.weight", (kv_heads * size, hidden))
    add("blk.0.attn_output.weight", layer + "self_attn.o_proj.weight", (hidden, heads * size))
    add("blk.0.ffn_gate.weight", layer + "mlp.gate_proj.weight", (10, hidden))
    add("blk.0.ffn_up.weight", layer + "mlp.up_proj.weight", (10, hidden))
    add("blk.0.ffn_down.weight", layer + "mlp.down_proj.weight", (hidden, 10))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_numpy(expected, os.path.join(HERE, "llama-expected.safetensors"))


quantised()
plain()
sharded()
llama_gguf()
