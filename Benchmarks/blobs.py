#!/usr/bin/env python3
"""How quickly a new worker has a model that three members have, over a link of a known rate.

usage: blobs.py --comd FILE [--mib 512] [--mbit 400] [--rounds 3]

Needs root and iproute2 with tc's tbf. A real run on the embedded world, whose teacher's folder has one
more file of so many MiB; every node has a network namespace of its own. Workers 1 to 3 fetch the teacher
at once; then worker 4 joins behind a link of so many Mbit/s. What the link carries is measured beside
it: bytes of a plain TCP connection over the same link, in the same round.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "scripts"))
import chaos  # noqa: E402

MEMBERS = 3
NEWCOMER = MEMBERS + 1
DONE = re.compile(r"blob \w+: (\d+) of \1 MiB, (\d+) MiB/s: (.*)")

SENDER = """
import socket, sys
server = socket.create_server(("0.0.0.0", 7800))
print("ready", flush=True)
peer, _ = server.accept()
left, block = int(sys.argv[1]), bytes(1 << 20)
while left:
    left -= peer.send(block[:left])
"""
TAKER = """
import socket, sys, time
peer = socket.create_connection((sys.argv[1], 7800))
begun, count = time.monotonic(), 0
while block := peer.recv(1 << 20):
    count += len(block)
print(count / (time.monotonic() - begun))
"""


def in_node(network, node, *words):
    return ["ip", "netns", "exec", network.name(node), *words]


def link_rate(network, mib):
    """Bytes a second of a plain connection from node 1 to the newcomer."""
    sender = subprocess.Popen(
        in_node(network, 1, sys.executable, "-c", SENDER, str(mib << 20)),
        stdout=subprocess.PIPE, text=True)  # fmt: skip
    sender.stdout.readline()
    rate = subprocess.check_output(
        in_node(network, NEWCOMER, sys.executable, "-c", TAKER, network.address(1)), text=True)
    sender.wait()
    return float(rate)


def sent_bytes(network, node):
    """Bytes that a node has sent over its link."""
    return int(
        subprocess.check_output(
            in_node(network, node, "cat", "/sys/class/net/eth0/statistics/tx_bytes")))


def teacher(folder, mib):
    shutil.copytree(TOP / "Models/shapes/teacher", folder)
    with open(folder / "ballast.bin", "wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))


def configure(folder, network, comd, mib):
    teacher(folder / "teacher", mib)
    data = folder / "data"
    chaos.call(comd, "shapes", "sample", "--count", "1000", "--questions", "6", "--captions", "20",
               "--evaluation", "4", "--out", str(data))  # fmt: skip
    text = (TOP / "Examples/shapes/cluster.yaml").read_text()
    text = re.sub(r"coordinator: .*", 'coordinator: { control: "tcp://0.0.0.0:7700", '
                  'bulk: "tcp://0.0.0.0:7701", dashboard: none }', text)  # fmt: skip
    text = text.replace("../../runs/shapes-data", str(data))
    text = text.replace("../../Models/shapes/teacher", str(folder / "teacher"))
    text = text.replace("../..", str(TOP))
    text = text.replace("prompts: prompts", f"prompts: {TOP}/Examples/shapes/prompts")
    text = re.sub(r"\n *captions: .*", "", re.sub(r"\npretrain: .*", "", text))
    (folder / "cluster.yaml").write_text(text)
    chaos.call(comd, "init", "--dir", str(folder), "--workers", str(NEWCOMER), "--host",
               network.address(0))  # fmt: skip


class Run:
    """A coordinator and workers, each in its node; all end with it."""

    def __init__(self, folder, network, comd):
        self.folder, self.network, self.comd, self.processes = folder, network, comd, []

    def start(self, node, *words):
        with open(self.folder / f"node{node}.log", "wb") as log:
            self.processes.append(
                subprocess.Popen(
                    in_node(self.network, node, "nice", self.comd, *words), stdout=log, stderr=log))

    def start_worker(self, node):
        self.start(node, "worker", "--access", str(self.folder / f"keys/workers/w{node}.access"),
                   "--dir", str(self.folder / f"w{node}"), "--threads", "1")  # fmt: skip

    def fetched(self, node, seconds=300):
        """MiB, MiB/s and origins of the large blob that a worker has fetched."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = DONE.search((self.folder / f"node{node}.log").read_text())
            if found:
                return int(found[1]), int(found[2]), found[3]
            time.sleep(0.1)
        raise SystemExit(f"blobs: worker {node} has not fetched the model in {seconds} s")

    def end(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def one_round(folder, network, options):
    configure(folder, network, options.comd, options.mib)
    run = Run(folder, network, options.comd)
    try:
        run.start(0, "coordinator", "--config", str(folder / "cluster.yaml"), "--dir",
                  str(folder / "run"))  # fmt: skip
        before = sent_bytes(network, 0)
        for node in range(1, NEWCOMER):
            run.start_worker(node)
        for node in range(1, NEWCOMER):
            print(f"  w{node}: {run.fetched(node)}", flush=True)
        copies = (sent_bytes(network, 0) - before) / (options.mib << 20)
        chaos.call("tc", "-n", network.hub, "qdisc", "add", "dev", f"port{NEWCOMER}", "root", "tbf",
                   "rate", f"{options.mbit}mbit", "burst", "256kb", "latency", "100ms")  # fmt: skip
        rate = link_rate(network, max(32, options.mib // 8)) / 1048576
        before = sent_bytes(network, 0)
        run.start_worker(NEWCOMER)
        mib, got, origins = run.fetched(NEWCOMER)
        own = (sent_bytes(network, 0) - before) / 1048576
        print(f"  w{NEWCOMER}: {mib} MiB at {got} MiB/s ({origins}); the link: {rate:.1f} MiB/s; "
              f"the coordinator sent {own:.1f} MiB meanwhile, and {copies:.2f} copies to the three "
              "before", flush=True)  # fmt: skip
        return got / rate
    finally:
        run.end()
        chaos.call("tc", "-n", network.hub, "qdisc", "del", "dev", f"port{NEWCOMER}", "root",
                   check=False)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--comd", required=True)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--mbit", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    options.comd = str(pathlib.Path(options.comd).resolve())
    network = chaos.Network(NEWCOMER + 1)
    place = pathlib.Path(tempfile.mkdtemp(prefix="comd-blobs-"))
    shares = []
    try:
        network.open()
        for number in range(options.rounds):
            print(f"round {number + 1}", flush=True)
            folder = place / str(number)
            folder.mkdir()
            shares.append(one_round(folder, network, options))
            shutil.rmtree(folder)
    finally:
        network.close()
        shutil.rmtree(place, ignore_errors=True)
    print(f"share of what the link carries: {statistics.median(shares):.2f} "
          f"({min(shares):.2f}-{max(shares):.2f}), {len(shares)} rounds")  # fmt: skip


if __name__ == "__main__":
    main()
