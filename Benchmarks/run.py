#!/usr/bin/env python3
"""Measures comd and its peers in turns, and writes RESULTS.md.

usage: run.py [--comd FILE] [--rounds N] [--quick] [ROW...]

A ROW is the beginning of rows' names, `decode` or `train-f32`; none: all. Every round starts a
process of each program, one at a time and on the same cores, so that the machine's moods hit all of
them; a process warms up before its clock runs. All that was measured goes to results.jsonl, where a
row replaces its older self, and from there to RESULTS.md.

$COMD_PYTHON (default .build/peers/bin/python, which peers/setup.sh makes) runs the peers,
$COMD_MODELS_DIR has the models, $COMD_DATA_DIR the pictures. What is missing is said.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import resource
import subprocess
import sys

import machine
import results
import rows

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent
PROCESS_SECONDS_MAX = 900
# Whose greedy continuation must be the same, or the converted model is another one.
TEXT = "The three most important inventions of the twentieth century are"


@dataclasses.dataclass
class LanguageModel:
    name: str
    title: str
    gguf: str
    converted: str  # CTranslate2's folder


class Places:
    """Where programs, models and pictures are; a place may be empty."""

    def __init__(self, comd):
        models = pathlib.Path(os.environ.get("COMD_MODELS_DIR", TOP / "models"))
        data = pathlib.Path(os.environ.get("COMD_DATA_DIR", TOP / "data"))
        own = TOP / ".build/bench"
        self.comd = comd
        self.python = os.environ.get("COMD_PYTHON", str(TOP / ".build/peers/bin/python"))
        self.language_models = [
            LanguageModel(name, title, str(models / file), str(own / f"{name}-ct2"))
            for name, title, file in (
                ("smollm2", "SmolLM2-135M Q4_1", "SmolLM2-135M-Instruct.Q4_1.gguf"),
                ("qwen", "Qwen2.5-0.5B Q4_K_M", "Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf"),
            )
        ]
        self.tower = str(models / "dinov2-vit-s14")
        self.pictures = str(data / "flickr8k_1000/images")
        self.picture = next(map(str, sorted(pathlib.Path(self.pictures).glob("*.jpg"))), "")
        self.judge = str(own / "judge")


def say(line):
    print(line, file=sys.stderr, flush=True)


class Failure(Exception):
    """A process that did not give a result: what it said last."""


def start(command, threads):
    """Runs a process on the first `threads` cores; its standard output."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        timeout=PROCESS_SECONDS_MAX,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"code {done.returncode}"]
        raise Failure(next((line for line in said if "Error" in line), said[-1]))
    return done.stdout


def measured(places, row, side, variant, runs):
    """One process of a side: its row, and what else kept the cores busy meanwhile."""
    if side.own or side.name == rows.OURS:
        command = [places.comd, "bench", side.program, "--json"]
    else:
        command = [places.python, str(HERE / "peers" / side.program)]
    command += [*side.options, "--precision", variant, "--runs", str(runs)]
    command += ["--threads", str(row.threads)]
    busy, own = machine.busy_seconds(), resource.getrusage(resource.RUSAGE_CHILDREN)
    output = start(command, row.threads)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - own.ru_utime - own.ru_stime
    line = json.loads(output.strip().splitlines()[-1])
    return line | {"others_seconds": max(0, machine.busy_seconds() - busy - used)}


def quickest(places, row, side):
    """Tries each variant once; the quickest, and all that were tried with what came out."""
    if len(side.variants) == 1:
        return side.variants[0], {}
    tried = {}
    for variant in side.variants:
        try:
            tried[variant] = measured(places, row, side, variant, 1)[row.key]
            say(f"  {side.name} {variant}: {tried[variant]:.4g}")
        except (Failure, subprocess.TimeoutExpired, OSError) as problem:
            tried[variant] = str(problem)
            say(f"  {side.name} {variant}: {problem}")
    rates = {variant: rate for variant, rate in tried.items() if not isinstance(rate, str)}
    return max(rates, key=rates.get, default=None), tried


def measure_row(places, row, rounds):
    """All rounds of a row; one line for each side that works."""
    say(f"{row.name}: {row.work}")
    chosen = [(side, *quickest(places, row, side)) for side in row.sides]
    lines = {
        side.name: results.line(row, side, variant, tried) for side, variant, tried in chosen
    }
    for turn in range(rounds):
        for side, variant, _ in chosen:
            if variant is not None:
                try:
                    one = measured(places, row, side, variant, row.runs)
                    results.add(lines[side.name], one, row.key)
                    say(f"  {turn + 1}/{rounds} {side.name} {variant}: {one[row.key]:.4g}")
                except (Failure, subprocess.TimeoutExpired, OSError) as problem:
                    lines[side.name]["tried"][variant] = str(problem)
                    say(f"  {turn + 1}/{rounds} {side.name} {variant}: {problem}")
    return list(lines.values())


def convert_models(places):
    """CTranslate2 reads folders of its own; a model that answers otherwise there is left out."""
    peer = [places.python, str(HERE / "peers/ct2_generate.py")]
    for model in places.language_models:
        if pathlib.Path(model.converted).exists() or not pathlib.Path(model.gguf).exists():
            continue
        say(f"{model.title}: for CTranslate2")
        folder, unchecked = model.converted + ".hf", model.converted + ".unchecked"
        pathlib.Path(folder).parent.mkdir(parents=True, exist_ok=True)
        try:
            start([places.comd, "model", "convert", model.gguf, "--to", "hf", "--out", folder], 1)
            start([*peer, "--convert", folder, unchecked], 1)
            prompt = ["--model", model.gguf, "--json"]
            ids = json.loads(start([places.comd, "parity", "tokens", *prompt, "--text", TEXT], 1))
            prompt += ["--raw", "--max-tokens", "24", "--prompt", TEXT]
            ours = json.loads(start([places.comd, "generate", *prompt], 1))["tokens"]
            check = ["--check", ",".join(map(str, ids["tokens"])), "--generate", "24"]
            check += ["--model", unchecked, "--precision", "float32"]
            theirs = [int(token) for token in start([*peer, "decode", *check], 1).split(",")]
        except (Failure, subprocess.TimeoutExpired, OSError) as problem:
            say(f"{model.title}: not converted: {problem}")
            continue
        if ours != theirs:
            say(f"{model.title}: CTranslate2 answers {theirs}, comd {ours}: left out")
        else:
            os.rename(unchecked, model.converted)


def assemble_judge(places):
    """A language model that sees; its projector is untrained, which takes the same time."""
    language = places.language_models[0].gguf
    if pathlib.Path(places.judge).exists() or not pathlib.Path(language).exists():
        return
    say("a model that sees, to judge")
    unfinished = places.judge + ".unfinished"
    command = [places.comd, "model", "assemble", "--language", language, "--vision", places.tower]
    try:
        start([*command, "--image-token", "<|endoftext|>", "--out", unfinished], 1)
    except (Failure, subprocess.TimeoutExpired, OSError) as problem:
        return say(f"not assembled: {problem}")
    os.rename(unfinished, places.judge)


def main():
    parser = argparse.ArgumentParser(description="Measures comd and its peers in turns.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="beginnings of rows' names")
    parser.add_argument("--comd", default=str(TOP / ".build/release/comd"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="of rows that use several")
    parser.add_argument("--quick", action="store_true", help="one round")
    chosen = parser.parse_args()
    places = Places(chosen.comd)
    every = rows.all_rows(places, min(chosen.threads, len(os.sched_getaffinity(0))))
    wanted = [
        row
        for row in every
        if not chosen.rows or any(row.name.startswith(name) for name in chosen.rows)
    ]
    if not wanted:
        sys.exit(f"no row begins with any of: {' '.join(chosen.rows)}")
    if not pathlib.Path(places.python).exists():
        say(f"no peers: there is no {places.python}; Benchmarks/peers/setup.sh makes it")
    if any(row.name.startswith(("prefill", "decode")) for row in wanted):
        convert_models(places)
    if any(row.name.startswith("judge") for row in wanted):
        assemble_judge(places)
    for row in wanted:
        missing = [file for file in row.needs if not pathlib.Path(file).exists()]
        if missing:
            say(f"{row.name}: left out, there is no {missing[0]}")
            lines = [results.absent(row, missing[0])]
        else:
            lines = measure_row(places, row, 1 if chosen.quick else chosen.rounds)
        results.keep(HERE / "results.jsonl", lines, [row.name for row in every])
    results.write(HERE / "results.jsonl", HERE / "RESULTS.md")
    say(f"{HERE / 'RESULTS.md'} is written")


main()
