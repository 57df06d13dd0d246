"""What was measured, as JSON lines, and the page that is written from them."""

import json
import pathlib
import statistics
import time

import machine
import rows

# What share of the peak a training step aims at, by precision.
SHARE_AIMS = {"f32": 0.65, "bf16": 0.55}
# What makes two machines the same one, as far as a measurement can see.
MACHINE = ("processor", "family", "cores", "memory_gib", "abilities")


def line(row, side, variant, tried):
    """A side of a row, before it is measured; `variant` is nil where none works."""
    return {
        "row": row.name,
        "work": row.work,
        "threads": row.threads,
        "processes": row.processes,
        "side": side.name,
        "aim": side.aim,
        "variant": variant,
        "tried": tried,
        "values": [],
        "unit": "",
        "version": "",
        "peak_memory_bytes": 0,
        "peak_gflops": [],
        "share": [],
        "others_seconds": 0,
        "measured": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "machine": machine.description(),
    }


def add(line, one, key):
    """One process more."""
    line["values"].append(one[key])
    line["unit"] = one["unit"]
    line["version"] = one.get("version", "")
    line["peak_memory_bytes"] = max(line["peak_memory_bytes"], one["peak_memory_bytes"])
    line["others_seconds"] = round(line["others_seconds"] + one["others_seconds"], 1)
    if one.get("peak_gflops"):
        line["peak_gflops"].append(one["peak_gflops"])
        line["share"].append(one["share"])


def absent(row, file):
    """Our side of a row that cannot be measured."""
    return line(row, row.sides[0], None, {"everything": f"there is no {pathlib.Path(file).name}"})


def read(path):
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []


def same_machine(one, other):
    return all(one["machine"][key] == other["machine"][key] for key in MACHINE)


def keep(path, lines, order):
    """Puts a row's lines in the place of its older ones of the same machine; rows stand in this
    order, others last."""

    def is_older(line):
        return any(line["row"] == new["row"] and same_machine(line, new) for new in lines)

    kept = [line for line in read(path) if not is_older(line)] + lines
    kept.sort(key=lambda line: order.index(line["row"]) if line["row"] in order else len(order))
    path.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in kept))


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def spread(values):
    if not values:
        return "–"
    middle, low, high = (number(f(values)) for f in (statistics.median, min, max))
    return middle if len(values) == 1 else f"{middle} ({low}–{high})"


def verdict(met):
    return "met" if met else "**not met**"


def ratio_rows(ours, peers):
    """Rows of the table: the rate beside each peer's."""
    for peer in peers:
        cells = [ours["work"], str(ours["threads"])]
        cells += [f"{spread(ours['values'])} {ours['unit']}, {ours['variant']}"]
        cells += [f"{peer['side']}, {peer['variant']}: {spread(peer['values'])}"]
        if ours["values"] and peer["values"]:
            ratio = statistics.median(ours["values"]) / statistics.median(peer["values"])
            pairs = [mine / its for mine, its in zip(ours["values"], peer["values"])]
            cells += [f"{ratio:.2f} ({min(pairs):.2f}–{max(pairs):.2f})", f"≥ {peer['aim']}"]
            cells += [verdict(ratio >= peer["aim"])]
        else:
            cells += ["–", f"≥ {peer['aim']}", "not measured"]
        yield cells


def table(head, body):
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *body]]
    return "\n".join(lines)


def grouped(lines):
    """For each row its line of comd and its peers' lines, in the order of the rows' names."""
    for name in dict.fromkeys(line["row"] for line in lines):
        here = [line for line in lines if line["row"] == name]
        ours = next(line for line in here if line["side"] == rows.OURS)
        yield ours, [line for line in here if line["side"] != rows.OURS]


def share_rows(groups):
    for ours, _ in groups:
        precision = ours["row"].split("-")[1] if ours["row"].startswith("train") else ""
        if precision in SHARE_AIMS and ours["share"]:
            share, aim = statistics.median(ours["share"]), SHARE_AIMS[precision]
            yield [
                ours["work"], str(ours["threads"]), f"{share:.0%}",
                f"{spread(ours['peak_gflops'])} GFLOP/s", f"≥ {aim:.0%}", verdict(share >= aim),
            ]  # fmt: skip


def memory_rows(groups):
    for ours, peers in groups:
        for peer in peers:
            if ours.get("processes", 1) == 1 and ours["values"] and peer["values"]:
                mine, its = ours["peak_memory_bytes"], peer["peak_memory_bytes"]
                yield [
                    ours["work"], str(ours["threads"]), f"{mine >> 20:,}",
                    f"{peer['side']}, {peer['variant']}: {its >> 20:,}", f"{mine / its:.2f}",
                    verdict(mine <= its),
                ]  # fmt: skip


def tried_rows(lines):
    for one in lines:
        for variant, came in one["tried"].items():
            words = came.replace("|", "/")[:120] if isinstance(came, str) else number(came)
            yield [one["work"], str(one["threads"]), one["side"], variant, words]


def write(source, target):
    """The page: a part for each machine, the one that measured last first."""
    lines = sorted(read(source), key=lambda line: line["measured"], reverse=True)
    firsts = []
    for line in lines:
        if not any(same_machine(line, first) for first in firsts):
            firsts.append(line)
    target.write_text(
        PAGE.format(parts="\n".join(part(first, read(source)) for first in firsts))
    )


def part(first, lines):
    """What the machine of this line measured."""
    newest = first["machine"]
    here = [line for line in lines if same_machine(line, first)]
    groups = list(grouped(here))
    versions = sorted({line["version"] for line in here if line["version"]})
    seconds = sum(line["others_seconds"] for line in here)
    lacking = [name for name in machine.ABILITIES if name not in newest["abilities"]]
    commits = sorted({line["machine"]["commit"] for line in here})
    facts = [
        f"{newest['processor']} ({newest['family']}), {newest['cores']} cores, "
        f"{newest['memory_gib']} GiB, {newest['system']}",
        f"it has {', '.join(newest['abilities'])}, and not {', '.join(lacking)}",
        f"{newest['compiler']}; comd at {', '.join(commits)}",
        "; ".join(versions),
        f"measured {min(line['measured'] for line in here)} to "
        f"{max(line['measured'] for line in here)} UTC; others kept cores busy for {seconds:.0f} s "
        "meanwhile",
    ]
    matrix = any(name.startswith("amx") for name in newest["abilities"])
    return PART.format(
        name=f"{newest['processor']} {'with' if matrix else 'without'} AMX",
        facts="\n".join(f"- {fact}" for fact in facts),
        ratios=table(
            ["work", "threads", "comd", "peer", "ratio", "aim", ""],
            [cells for ours, peers in groups for cells in ratio_rows(ours, peers)],
        ),
        shares=table(["work", "threads", "share", "peak", "aim", ""], list(share_rows(groups))),
        memory=table(
            ["work", "threads", "comd, MiB", "peer, MiB", "ratio", ""],
            list(memory_rows(groups)),
        ),
        tried=table(["work", "threads", "program", "variant", "one run"], tried_rows(here)),
    )


PAGE = """# Measured: comd beside its peers

Written by `make bench` (Benchmarks/run.py) from results.jsonl. Programs take turns on the same
cores, one process at a time; each warms up before its clock runs. Rates are medians of the rounds
with the least and the most; a ratio's spread is that of the rounds. Of each program's variants the
quickest one is measured.

Work is the same on both sides. Training is forward and backward without an update; PyTorch's bf16
is either bf16 weights or autocast, where the processor has no bf16 both are emulated. In prefill
nobody computes logits but for the last token. Decoding is counted without the time of the prompts,
which both sides measure as an answer of one token. The tower is cut after the layer that LLaVA
reads. llama.cpp reads the same GGUF file; CTranslate2 the same weights, decoded and converted.

The share of the processor's peak is six operations for each parameter and token, of what the
quickest instruction for these numbers does on all threads, which the same process measures: for
bf16 tiles of the processor (AMX) where it has them, else multiply-adds of f32. Peak memory is that
of the whole process, with its program and libraries; the aim is at most the peer's. Work of several
processes has none here. Of every variant one process is run, to choose; that is not part of the rates.

{parts}"""

PART = """## {name}

{facts}

### Rates

{ratios}

### Share of the processor's peak

{shares}

### Peak memory

{memory}

### Every variant

{tried}
"""
