#!/usr/bin/env python3
"""How much of slow, far links an all-reduce uses.

usage: wan.py --comd FILE [--mib 50] [--mbit 100] [--milliseconds 80] [--workers 2] [--runs 3] [--wire f32]

Needs root, iproute2 with tc's tbf, and /dev/net/tun: every member has a network namespace of its own, whose
link carries so many Mbit/s and whose packets take so many milliseconds there and back, by a relay in user
space. A member has to send 2 (W - 1) / W of the vector; what that is of the link's time is told, and beside
it what plain TCP connections make of the same links, one from each member to the next, at the same time.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "scripts"))
import chaos  # noqa: E402
from blobs import SENDER, TAKER, in_node  # noqa: E402

DESK = 0
PORT = 7790


def hinder(network, node, options):
    chaos.call("tc", "-n", network.name(node), "qdisc", "add", "dev", "eth0", "root", "tbf", "rate",
               f"{options.mbit}mbit", "burst", "64kb", "latency", "200ms")  # fmt: skip
    network.disturb(node, "up", late=options.milliseconds / 2000)


def plain(network, options, count):
    """Bytes a second of each of the connections, all at once."""
    members = range(1, options.workers + 1)
    senders = [
        subprocess.Popen(in_node(network, node, sys.executable, "-c", SENDER, str(count)),
                         stdout=subprocess.PIPE, text=True)  # fmt: skip
        for node in members
    ]
    for sender in senders:
        sender.stdout.readline()
    takers = [
        subprocess.Popen(
            in_node(network, node % options.workers + 1, sys.executable, "-c", TAKER,
                    network.address(node)), stdout=subprocess.PIPE, text=True)  # fmt: skip
        for node in members
    ]
    rates = [float(taker.communicate(timeout=600)[0]) for taker in takers]
    for sender in senders:
        sender.wait(60)
    return rates


def all_reduce(network, options):
    words = ["bench", "allreduce", "--bytes", str(options.mib << 20), "--workers", str(options.workers),
             "--wire", options.wire]
    runs = ["--runs", str(options.runs), "--json", "--listen", f"tcp://0.0.0.0:{PORT}"]
    desk = subprocess.Popen(in_node(network, DESK, options.comd, *words, *runs),
                            stdout=subprocess.PIPE, text=True)  # fmt: skip
    members = [
        subprocess.Popen(
            in_node(network, node, options.comd, *words, "--tcp", "--threads", "1", "--member",
                    str(node - 1), "--join", f"tcp://{network.address(DESK)}:{PORT}"))  # fmt: skip
        for node in range(1, options.workers + 1)
    ]
    try:
        return json.loads(desk.communicate(timeout=900)[0].splitlines()[-1])
    finally:
        for process in [desk, *members]:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comd", default=str(TOP / ".build/release/comd"))
    for name, value in dict(mib=50, mbit=100, milliseconds=80, workers=2, runs=3).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--wire", default="f32", choices=("f32", "bf16"))
    options = parser.parse_args()
    options.comd = str(pathlib.Path(options.comd).resolve())
    network = chaos.Network(options.workers + 1)
    network.open()
    try:
        if not network.relay or not network.has_tbf:
            raise SystemExit("wan: this machine has no TAP devices or no tbf")
        for node in range(1, options.workers + 1):
            hinder(network, node, options)
        sent = (options.mib << 20) * 2 * (options.workers - 1) / options.workers
        if options.wire == "bf16":
            sent /= 2
        rates = plain(network, options, int(sent))
        sums = all_reduce(network, options)
        link = options.mbit * 1e6 / 8
        print(json.dumps({
            "mib": options.mib, "mbit": options.mbit, "milliseconds": options.milliseconds,
            "workers": options.workers, "seconds": round(1 / sums["value"], 3),
            "low": round(1 / sums["high"], 3), "high": round(1 / sums["low"], 3),
            "of_the_link": round(sent * sums["value"] / link, 3),
            "plain_tcp_of_the_link": round(statistics.median(rates) / link, 3)}))  # fmt: skip
    finally:
        network.close()


if __name__ == "__main__":
    main()
