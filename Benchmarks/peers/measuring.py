"""What all peers share: options, timed runs, and the line that `comd bench --json` prints, too.

A peer does the same work as the command of that name, in the fastest way that its own interface
offers. `value` is the median of the runs; one run before them is not counted.
"""

import argparse
import json
import resource
import statistics
import time


def options(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=1, help="threads that compute")
    parser.add_argument("--precision", default="f32", help="the numbers that are multiplied")
    parser.add_argument("--runs", type=int, default=5, help="timed runs")
    return parser


def seconds(work, *arguments):
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def tokens(count, vocabulary, seed):
    """The ids that `comd bench` reads: the same on every machine, spread over the vocabulary."""
    return [((i + seed * 7_919) * 40_503 + 12_345) % vocabulary for i in range(count)]


def tell(bench, unit, rates, chosen, version, **more):
    """Prints the row; `version` names the peer, `more` are further fields."""
    row = {
        "bench": bench,
        "value": statistics.median(rates),
        "unit": unit,
        "low": min(rates),
        "high": max(rates),
        "runs": len(rates),
        "threads": chosen.threads,
        "precision": chosen.precision,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "version": version,
    }
    print(json.dumps(row | more, sort_keys=True), flush=True)


def measure(bench, unit, amount, chosen, version, work):
    """Times `work` after one run that is not counted; `amount` units are done in a run."""
    work()
    rates = [amount / seconds(work) for _ in range(chosen.runs)]
    tell(bench, unit, rates, chosen, version)


def measure_answers(chosen, version, answer):
    """Rates of generated tokens, with the prompts' time and without.

    `answer(prompts, count)` generates `count` tokens for each prompt. A run answers twice, once
    with a single token: what the second answer takes beyond that is generation alone.
    """
    seed = 0

    def timed(count):
        nonlocal seed
        prompts = [
            tokens(chosen.prompt, chosen.vocabulary, seed + i + 1) for i in range(chosen.requests)
        ]
        seed += chosen.requests
        return seconds(answer, prompts, count)

    timed(1)
    whole, apart = [], []
    for _ in range(chosen.runs):
        first, all_of_it = timed(1), timed(chosen.generate)
        whole.append(chosen.requests * chosen.generate / all_of_it)
        apart.append(chosen.requests * (chosen.generate - 1) / (all_of_it - first))
    tell(
        "decode", "tok/s", whole, chosen, version,
        generating=statistics.median(apart),
        generating_low=min(apart),
        generating_high=max(apart),
    )  # fmt: skip


def reading_options(description):
    """Options of a peer that reads a prompt (`prefill`) or answers requests (`decode`)."""
    parser = options(description)
    parser.add_argument("work", choices=["prefill", "decode"])
    parser.add_argument("--model", required=True)
    parser.add_argument("--length", type=int, default=512, help="tokens of the prompt to read")
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--prompt", type=int, default=128, help="tokens of each request's prompt")
    parser.add_argument("--generate", type=int, default=48, help="tokens for each request")
    parser.add_argument(
        "--check", help="no measurement: the answer to these token ids, 1,2,3, greedily"
    )
    return parser
