#!/usr/bin/env python3
"""Golden pictures: files of every kind beside what Pillow and transformers make of them.

Made with Pillow 13.0.0, transformers 5.23.0 (its Pillow-backed image processors), numpy 2.4.6.
Run: python make_images.py (beside this file).
"""
import io
import os

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save_file
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.image_processing_utils import select_best_resolution
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_next.modeling_llava_next import unpad_image
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images")
os.makedirs(HERE, exist_ok=True)
random = np.random.default_rng(7)


def scene(width, height):
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([x * 255 / width, y * 255 / height, 127 + 120 * np.sin(x / 2.0) * np.cos(y / 3.0)], -1)
    picture[height // 4:height // 2, width // 4:width // 2] = [250, 20, 30]
    picture += random.normal(0, 12, picture.shape)
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def write(name, image, **options):
    image.save(os.path.join(HERE, name), **options)


rgb = scene(37, 23)
alpha = rgb.copy()
alpha.putalpha(Image.fromarray(random.integers(0, 256, (23, 37), dtype=np.uint8)))
write("rgb.png", rgb)
write("rgba.png", alpha)
write("grey.png", rgb.convert("L"))
write("grey-alpha.png", alpha.convert("LA"))
write("bilevel.png", rgb.convert("1"))
write("palette.png", rgb.quantize(64))
write("palette-4bit.png", rgb.quantize(11), bits=4)
write("palette-transparent.png", rgb.quantize(40), transparency=3)
deep = Image.fromarray((np.linspace(0, 700, 37 * 23).reshape(23, 37)).astype(np.uint16))
write("grey-16bit.png", deep)
with open(os.path.join(HERE, "interlaced.png"), "wb") as f:  # Pillow writes none: built from its parts
    import struct
    import zlib
    pixels = np.array(rgb)
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b"".join(b"\0" + row.tobytes() for x0, y0, dx, dy in passes for row in pixels[y0::dy, x0::dx])

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 37, 23, 8, 2, 0, 0, 1))
            + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))
with open(os.path.join(HERE, "rgb-16bit.png"), "wb") as f:
    words = random.integers(0, 65536, (23, 37, 3), dtype=np.uint16).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in words)
    f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 37, 23, 16, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))
for sampling, name in [(0, "444"), (1, "422"), (2, "420")]:
    write(f"jpeg-{name}.jpg", rgb, quality=85, subsampling=sampling)
write("jpeg-progressive.jpg", rgb, quality=70, progressive=True)
write("jpeg-grey.jpg", rgb.convert("L"), quality=80)
write("jpeg-cmyk.jpg", rgb.convert("CMYK"), quality=90)
exif = Image.Exif()
exif[0x0112] = 6  # turned by 90 degrees: to be ignored
write("jpeg-exif.jpg", rgb, quality=85, exif=exif)

expected = {}
for name in sorted(os.listdir(HERE)):
    if name.endswith((".png", ".jpg")) and name not in ("wide.png", "tall.png", "tiny.png"):
        expected[name] = np.array(Image.open(os.path.join(HERE, name)).convert("RGB")).astype(np.float16)
save_file(expected, os.path.join(HERE, "decoded.safetensors"))

resized = {}
for filter_name, number in [("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)]:
    for width, height in [(37, 23), (1, 1), (5, 3), (36, 23), (37, 22), (64, 41), (7, 90), (111, 2)]:
        picture = rgb.resize((width, height), number)
        resized[f"{filter_name} {width} {height}"] = np.array(picture).astype(np.float16)
save_file(resized, os.path.join(HERE, "resized.safetensors"))

wide, tall, tiny = scene(71, 40), scene(31, 90), scene(9, 13)
write("wide.png", wide)
write("tall.png", tall)
write("tiny.png", tiny)
imagenet = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
clip = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
processors = {
    "clip": CLIPImageProcessorPil(**clip),
    "bit": BitImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 27, "width": 27}, **imagenet),
    "bilinear": CLIPImageProcessorPil(size={"height": 15, "width": 22}, do_center_crop=False, resample=2),
    "padded": CLIPImageProcessorPil(do_resize=False, crop_size={"height": 33, "width": 20}, do_normalize=False),
    "tiles": LlavaNextImageProcessorPil(
        size={"shortest_edge": 14}, crop_size={"height": 14, "width": 14},
        image_grid_pinpoints=[[14, 28], [28, 14], [28, 28], [42, 14], [14, 42]]),
    "siglip": SiglipImageProcessorPil(size={"height": 28, "width": 28}),
    "unscaled": CLIPImageProcessorPil(do_rescale=False, do_normalize=False, **clip),
}
processed = {}
for name, processor in processors.items():
    folder = os.path.join(HERE, "processor-" + name)
    os.makedirs(folder, exist_ok=True)
    processor.save_pretrained(folder)
    for picture in ["wide.png", "tall.png", "tiny.png"]:
        image = Image.open(os.path.join(HERE, picture))
        values = processor(image, return_tensors="np")["pixel_values"][0]
        processed[f"{name} {picture}"] = values.astype(np.float32)
save_file(processed, os.path.join(HERE, "processed.safetensors"))

# For pictures of many sizes: the resolution that LLaVA-NeXT chooses, and which lines and columns of
# 24 features a tile it keeps.
pinpoints = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
sizes = [(336, 672), (672, 672), (1, 1), (1, 5000), (3000, 2), (337, 671), (100, 100), (1008, 335), (500, 1500)]
sizes += [tuple(int(n) for n in random.integers(1, 1500, 2)) for _ in range(150)]
rows = []
for height, width in sizes:
    best = select_best_resolution((height, width), pinpoints)
    down, across = best[0] // 14, best[1] // 14
    places = torch.stack(torch.meshgrid(torch.arange(down), torch.arange(across), indexing="ij"))
    _, lines, columns = unpad_image(places, (height, width)).shape  # of the middle
    first, left = (down - lines) // 2, (across - columns) // 2
    rows.append([height, width, *best, first, first + lines, left, left + columns])
save_file({"tiling": np.array(rows, dtype=np.float32)}, os.path.join(HERE, "tiling.safetensors"))
