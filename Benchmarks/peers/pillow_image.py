"""`comd bench image` with Pillow and NumPy: JPEG files to CLIP's pixel values."""

import io
import pathlib

import measuring
import numpy
import PIL
from PIL import Image

MEAN = numpy.array([0.48145466, 0.4578275, 0.40821073])
DEVIATION = numpy.array([0.26862954, 0.26130258, 0.27577711])
# (level / 255 - mean) / deviation with one product and one sum for each value.
FACTOR = (1 / (255 * DEVIATION)).astype(numpy.float32)
TERM = (-MEAN / DEVIATION).astype(numpy.float32)


def pixel_values(file, side):
    """Resized so that the shorter edge fits, cut from the middle, normalised: (3, side, side)."""
    picture = Image.open(io.BytesIO(file)).convert("RGB")
    width, height = picture.size
    short = min(width, height)
    size = (int(side * width / short), int(side * height / short))
    picture = picture.resize(size, Image.Resampling.BICUBIC)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    values = numpy.asarray(picture).astype(numpy.float32)
    values *= FACTOR
    values += TERM
    return numpy.ascontiguousarray(values.transpose(2, 0, 1))


def main():
    parser = measuring.options(__doc__)
    parser.add_argument("--images", required=True, help="a folder of JPEG files")
    parser.add_argument("--count", type=int, default=200, help="the first so many, by name")
    parser.add_argument("--side", type=int, default=336)
    chosen = parser.parse_args()
    paths = sorted(pathlib.Path(chosen.images).glob("*.jpg"))[: chosen.count]
    files = [path.read_bytes() for path in paths]

    def work():
        for file in files:
            pixel_values(file, chosen.side)

    measuring.measure(
        "image", "img/s", len(files), chosen,
        f"Pillow {PIL.__version__}, NumPy {numpy.__version__}", work,
    )  # fmt: skip


main()
