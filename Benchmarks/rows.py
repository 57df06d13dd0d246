"""What is measured: each row is a work, ours and the peers that do it, and what is aimed at.

A side has variants (precisions, ways of a peer). Each is tried once; the quickest one is measured.
"""

import dataclasses

OURS = "comd"
JUDGED = 64  # instructions, each in both orders
LENGTH, BATCH = 512, 2


@dataclasses.dataclass
class Side:
    """One program that does the work; `command` is for `variant`, the options follow it."""

    name: str
    program: str  # of comd: the words after `bench`; of a peer: the script
    variants: list[str]
    options: list[str]
    aim: float = 0  # ours ÷ this peer
    own: bool = False  # comd itself, in another way


@dataclasses.dataclass
class Row:
    name: str
    work: str
    threads: int
    sides: list[Side]  # ours first
    key: str = "value"
    runs: int = 1  # timed runs of each process
    processes: int = 1  # of several, the memory of the one that measures says nothing
    needs: list[str] = dataclasses.field(default_factory=list)  # files without which it cannot be


def all_rows(places, threads):
    """The rows in the order of the table; `places` are where models and pictures are."""
    rows = []
    for count in sorted({1, threads}):
        rows += [training(count, precision, aim) for precision, aim in (("f32", 2.5), ("bf16", 2))]
    for model in places.language_models:
        rows.append(reading(model, threads))
    for requests, aims in ((32, (4, 2.5)), (1, (1, 1))):
        rows += [answering(model, threads, requests, aims) for model in places.language_models]
    rows += [seeing(places.tower, threads), judging(places, threads), opening(places.pictures)]
    rows.append(dispatching(threads))
    rows += [summing(workers, size) for workers in (2, 4) for size in (1, 20, 100)]
    return rows


def training(threads, precision, aim):
    shape = ["--batch", str(BATCH), "--length", str(LENGTH)]
    peers = {"f32": ["f32"], "bf16": ["bf16", "bf16-autocast"]}
    return Row(
        f"train-{precision}-t{threads}",
        f"forward and backward, SmolLM2-135M's shape, {BATCH} × {LENGTH} tokens, {precision}",
        threads,
        [
            Side(OURS, "train", [precision], ["--shape", "smollm2-135m", *shape]),
            Side("PyTorch", "torch_train.py", peers[precision], shape, aim),
        ],
    )


def generating_sides(work, model, options, aims):
    ours = ["--model", model.gguf, *options]
    converted = ["--model", model.converted, *options]
    return [
        Side(OURS, work, ["f32", "bf16", "int8"], ours),
        Side("llama.cpp", "llama_generate.py", ["q", "q-flash"], [work, *ours], aims[0]),
        Side(
            "CTranslate2",
            "ct2_generate.py",
            ["float32", "bfloat16", "int16", "int8", "int8_float32", "int8_bfloat16"],
            [work, *converted],
            aims[1],
        ),
    ]


def reading(model, threads):
    return Row(
        f"prefill-{model.name}-t{threads}",
        f"prefill of {LENGTH} tokens, {model.title}",
        threads,
        generating_sides("prefill", model, ["--length", str(LENGTH)], (4, 1.2)),
        runs=3,
        needs=[model.gguf],
    )


def answering(model, threads, requests, aims):
    prompt, generate = (32, 32) if requests > 1 else (32, 64)
    options = ["--requests", requests, "--prompt", prompt, "--generate", generate]
    return Row(
        f"decode-{requests}-{model.name}-t{threads}",
        f"decode, {requests} at once, {generate} tokens each, {model.title}",
        threads,
        generating_sides("decode", model, [str(option) for option in options], aims),
        key="generating",
        runs=1 if requests > 1 else 3,
        needs=[model.gguf],
    )


def seeing(tower, threads):
    options = ["--tower", tower, "--side", "224", "--batch", "8"]
    return Row(
        f"vision-t{threads}",
        "8 pictures of 224 px through the DINOv2-derived tower",
        threads,
        [
            Side(OURS, "vision", ["f32", "bf16"], options),
            Side("PyTorch", "torch_vision.py", ["f32", "bf16"], options, 2),
        ],
        runs=3,
        needs=[tower],
    )


def judging(places, threads):
    options = ["--model", places.judge, "--image", places.picture, "--instructions", str(JUDGED)]
    return Row(
        f"judge-t{threads}",
        f"{JUDGED} instructions about one picture judged in both orders, SmolLM2-135M that sees",
        threads,
        [
            Side(OURS, "judge", ["f32"], options),
            Side("comd without caches", "judge", ["f32"], [*options, "--no-caches"], 2, own=True),
        ],
        needs=[places.judge, places.picture],
    )


def opening(pictures):
    options = ["--images", pictures, "--count", "200", "--side", "336"]
    return Row(
        "image-t1",
        "200 JPEG files to CLIP's pixel values, 336 px",
        1,
        [
            Side(OURS, "image", ["f32"], options),
            Side("Pillow + NumPy", "pillow_image.py", ["f32"], options, 2),
        ],
        needs=[pictures],
    )


def dispatching(threads):
    options = ["--jobs", "20000", "--workers", "8"]
    return Row(
        "dispatch",
        "20,000 jobs that cost nothing, 8 worker processes; ours durable and encrypted",
        threads,
        [
            Side(OURS, "dispatch", ["f32"], options),
            Side("Ray", "ray_dispatch.py", ["f32"], options, 4),
        ],
        processes=8,
    )


def summing(workers, mebibytes):
    options = ["--bytes", str(mebibytes << 20), "--workers", str(workers)]
    return Row(
        f"allreduce-{workers}x{mebibytes}",
        f"all-reduce of {mebibytes} MiB over {workers} processes of one machine, ours sealed",
        workers,
        [
            Side(OURS, "allreduce", ["f32"], options),
            Side("comd, not encrypted", "allreduce", ["f32"], [*options, "--plain"], own=True),
            Side("gloo", "gloo_allreduce.py", ["f32"], options, 1.2),
        ],
        runs=15,
        processes=workers,
    )
