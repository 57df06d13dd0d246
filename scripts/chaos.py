#!/usr/bin/env python3
"""A real run under faults, beside the same run undisturbed: both must end with the same report.

usage: chaos.py --comd FILE [--minutes 10] [--workers 4] [--seed N] [--keep]

Needs root and iproute2: every node has a network namespace of its own, on a bridge in one more. What
goes wrong, one thing every second or two, several at a time: a worker or the coordinator is killed
(SIGKILL) or stopped (SIGSTOP), a node's link goes down, one node no longer reaches the coordinator or
the other way round, the coordinator's disk is full; with tc's netem packets are lost and late, with
libfaketime a coordinator comes back in another hour. Runs are repeated until the minutes are over.
"""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
RUN_SECONDS_MAX = 1200
DISK_MIB = 400
# After a cut line, or a start of the coordinator, until every worker is connected again.
CONNECTING_SECONDS = 6


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def call(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True)
    if check and done.returncode:
        raise SystemExit(f"chaos: {' '.join(command)}: {done.stderr.strip()}")
    return done.returncode == 0


class Network:
    """A bridge in a namespace of its own, and a namespace with one link for each node."""

    def __init__(self, nodes):
        self.tag = f"cmd{os.getpid() % 10000}"
        self.hub = f"{self.tag}hub"
        self.nodes = nodes
        call("ip", "netns", "add", self.hub)
        call("ip", "-n", self.hub, "link", "add", "bridge", "type", "bridge")
        call("ip", "-n", self.hub, "link", "set", "bridge", "up")
        for node in range(nodes):
            call("ip", "netns", "add", self.name(node))
            call("ip", "-n", self.hub, "link", "add", f"port{node}", "type", "veth", "peer",
                 "name", "eth0", "netns", self.name(node))  # fmt: skip
            call("ip", "-n", self.hub, "link", "set", f"port{node}", "master", "bridge", "up")
            call("ip", "-n", self.name(node), "addr", "add", f"{self.address(node)}/24", "dev",
                 "eth0")  # fmt: skip
            for link in ("lo", "eth0"):
                call("ip", "-n", self.name(node), "link", "set", link, "up")
        self.has_netem = call("tc", "-n", self.hub, "qdisc", "add", "dev", "port0", "root",
                              "netem", "delay", "1ms", check=False)  # fmt: skip
        if self.has_netem:
            call("tc", "-n", self.hub, "qdisc", "del", "dev", "port0", "root")
        else:
            say("this kernel has no netem: lost and late packets are left out")

    def name(self, node):
        return f"{self.tag}n{node}"

    def address(self, node):
        return f"10.77.0.{node + 1}"

    def link(self, node, state):
        call("ip", "-n", self.hub, "link", "set", f"port{node}", state)

    def blackhole(self, node, other, how):
        call("ip", "-n", self.name(node), "route", how, "blackhole", self.address(other),
             check=False)  # fmt: skip

    def netem(self, node, words):
        call("tc", "-n", self.hub, "qdisc", "add", "dev", f"port{node}", "root", "netem", *words,
             check=False)  # fmt: skip

    def calm(self, node):
        call("tc", "-n", self.hub, "qdisc", "del", "dev", f"port{node}", "root", check=False)

    def close(self):
        for name in [self.name(node) for node in range(self.nodes)] + [self.hub]:
            call("ip", "netns", "del", name, check=False)


class Process:
    """A process that is started again when it ends, until it ends well."""

    def __init__(self, name, command, log, environment=lambda: {}):
        self.name, self.command, self.log = name, command, log
        self.environment = environment
        self.handle, self.done, self.starts = None, False, 0
        self.start_at = 0.0
        self.stopped_until = None

    def keep(self):
        now = time.monotonic()
        if self.handle is None:
            if not self.done and now >= self.start_at:
                with open(self.log, "ab") as log:
                    self.handle = subprocess.Popen(
                        self.command, stdout=log, stderr=log,
                        env=os.environ | self.environment())  # fmt: skip
                self.starts += 1
            return
        if self.stopped_until and now >= self.stopped_until:
            self.signal(signal.SIGCONT)
            self.stopped_until = None
        status = self.handle.poll()
        if status is None:
            return
        self.handle, self.stopped_until = None, None
        self.done = status == 0
        self.start_at = max(self.start_at, now + 0.5)

    def signal(self, number):
        if self.handle and self.handle.poll() is None:
            self.handle.send_signal(number)
            return True
        return False

    def kill(self, away):
        self.start_at = time.monotonic() + away
        return self.signal(signal.SIGKILL)

    def stop(self, seconds):
        if self.signal(signal.SIGSTOP):
            self.stopped_until = time.monotonic() + seconds
            return True
        return False

    def end(self):
        self.done = True
        if self.handle:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.handle.wait(15)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
                self.handle.wait()


class Cluster:
    def __init__(self, comd, network, data, folder, workers):
        self.network, self.folder = network, folder
        self.run = folder / "run"
        self.run.mkdir(parents=True)
        call("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(self.run))
        text = (TOP / "Examples/shapes/cluster.yaml").read_text()
        text = re.sub(r"coordinator: .*", "coordinator: { control: \"tcp://0.0.0.0:7700\", "
                      "bulk: \"tcp://0.0.0.0:7701\", dashboard: none }", text)  # fmt: skip
        text = text.replace("../../runs/shapes-data", str(data)).replace("../..", str(TOP))
        text = text.replace("prompts: prompts", f"prompts: {TOP}/Examples/shapes/prompts")
        text = text.replace("iterations: 4", "iterations: 2").replace("epochs: 4", "epochs: 2")
        config = folder / "cluster.yaml"
        config.write_text(text)
        call(comd, "init", "--dir", str(folder), "--workers", str(workers), "--host",
             network.address(0))  # fmt: skip
        self.hour = 0

        def in_node(node, *words):
            return ["ip", "netns", "exec", network.name(node), comd, *words]

        self.coordinator = Process(
            "coordinator",
            in_node(0, "coordinator", "--config", str(config), "--dir", str(self.run)),
            folder / "coordinator.log", self.coordinator_environment)  # fmt: skip
        self.workers = [
            Process(
                f"w{number}",
                in_node(
                    number, "worker", "--access", str(folder / f"keys/workers/w{number}.access"),
                    "--dir", str(folder / f"w{number}"), "--threads", "1"),  # fmt: skip
                folder / f"w{number}.log",
            )
            for number in range(1, workers + 1)
        ]

    def coordinator_environment(self):
        library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        if not self.hour or not library:
            return {}
        return {
            "LD_PRELOAD": str(library), "FAKETIME": f"{self.hour:+d}h",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip

    def keep(self):
        for process in [self.coordinator, *self.workers]:
            process.keep()

    def close(self):
        for process in [*self.workers, self.coordinator]:
            process.end()
        call("umount", "-l", str(self.run))


class Faults:
    """What goes wrong, drawn from a seed; what was done is undone when its time is over."""

    def __init__(self, cluster, random):
        self.cluster, self.random = cluster, random
        self.undo = []
        self.next = time.monotonic() + 5
        self.counts = {}
        self.killed = {}  # worker: when, until its coordinator has noticed
        self.blind = {}  # worker, or "coordinator": until when no kill of it can be noticed

    def turn(self):
        now = time.monotonic()
        for entry in [entry for entry in self.undo if entry[0] <= now]:
            self.undo.remove(entry)
            entry[1]()
        if now < self.next:
            return
        self.next = now + self.random.uniform(0.5, 2.5)
        name, act = self.random.choice(
            [
                ("worker killed", self.kill), ("worker killed", self.kill),
                ("worker stopped", self.stop), ("link down", self.link),
                ("one way cut", self.one_way), ("packets lost and late", self.netem),
                ("coordinator killed", self.kill_coordinator),
                ("coordinator stopped", self.stop_coordinator), ("disk full", self.fill),
            ])  # fmt: skip
        # The coordinator's own faults are rarer, or nothing would ever be done.
        if act in (self.kill_coordinator, self.stop_coordinator, self.fill):
            if self.random.random() < 0.6:
                return
        if act():
            self.counts[name] = self.counts.get(name, 0) + 1

    def later(self, seconds, act):
        self.undo.append((time.monotonic() + seconds, act))

    def calm(self):
        for _, act in self.undo:
            act()
        self.undo = []

    def node(self):
        return self.random.randrange(1, len(self.cluster.workers) + 1)

    def kill(self):
        worker = self.random.choice(self.cluster.workers)
        if not worker.kill(self.random.uniform(1, 8)):
            return False
        now = time.monotonic()
        if all(self.blind.get(name, 0) < now for name in (worker.name, "coordinator")):
            self.killed[worker.name] = now
        return True

    def hide(self, name, seconds):
        """What happens to a worker cannot be noticed: it is no measure of how quickly it is."""
        until = time.monotonic() + seconds
        self.blind[name] = max(until, self.blind.get(name, 0))
        if name == "coordinator":
            self.killed = {}
        self.killed.pop(name, None)

    def stop(self):
        return self.random.choice(self.cluster.workers).stop(self.random.uniform(0.5, 8))

    def kill_coordinator(self):
        self.cluster.hour = self.random.choice([0, 0, 1, -5])
        seconds = self.random.uniform(0.5, 4)
        self.hide("coordinator", seconds + CONNECTING_SECONDS)
        return self.cluster.coordinator.kill(seconds)

    def stop_coordinator(self):
        seconds = self.random.uniform(0.5, 6)
        self.hide("coordinator", seconds)
        return self.cluster.coordinator.stop(seconds)

    def link(self):
        node, network = self.node(), self.cluster.network
        network.link(node, "down")
        seconds = self.random.uniform(0.5, 8)
        self.hide(f"w{node}", seconds + CONNECTING_SECONDS)
        self.later(seconds, lambda: network.link(node, "up"))
        return True

    def one_way(self):
        ends = [self.node(), 0]
        self.random.shuffle(ends)
        network = self.cluster.network
        network.blackhole(*ends, "add")
        seconds = self.random.uniform(0.5, 8)
        self.hide(f"w{max(ends)}", seconds + CONNECTING_SECONDS)
        self.later(seconds, lambda: network.blackhole(*ends, "del"))
        return True

    def netem(self):
        node, network = self.node(), self.cluster.network
        if not network.has_netem:
            return False
        network.netem(node, ["loss", "5%", "delay", "80ms", "10ms"])
        self.later(self.random.uniform(4, 15), lambda: network.calm(node))
        return True

    def fill(self):
        filler = self.cluster.run / "filler"
        with open(filler, "wb") as file:
            try:
                while True:
                    file.write(bytes(1 << 20))
            except OSError:
                pass
        self.later(self.random.uniform(1, 5), lambda: filler.unlink(missing_ok=True))
        return True


def watch_departures(cluster, faults, delays, ended):
    """Reads the coordinator's log as it grows: how long after its death a worker had left."""
    place = 0
    while not ended.is_set():
        time.sleep(0.02)
        try:
            with open(cluster.folder / "coordinator.log", "rb") as log:
                log.seek(place)
                new = log.read()
        except OSError:
            continue
        place += len(new)
        for name in re.findall(rb"(w\d+)\S* left: its connection", new):
            died = faults.killed.pop(name.decode(), None)
            if died:
                delays.append(time.monotonic() - died)


def facts(report):
    """What of a report says what came out, not who did it and how often."""
    kept = {key: report[key] for key in ("pretraining", "iterations", "kernel_set")}
    kept["student"] = report["student"]["weights_sha256"]
    kept["jobs"] = {key: report["jobs"][key] for key in ("accepted", "quarantined", "lost")}
    return kept


def one_run(comd, network, data, folder, workers, seed):
    """A whole run; `seed` nil: undisturbed. Its report, what went wrong, delays of detection."""
    cluster = Cluster(comd, network, data, folder, workers)
    faults = Faults(cluster, random.Random(seed))
    delays, ended = [], threading.Event()
    watcher = threading.Thread(target=watch_departures, args=(cluster, faults, delays, ended))
    watcher.start()
    begun = time.monotonic()
    try:
        while not cluster.coordinator.done:
            if time.monotonic() - begun > RUN_SECONDS_MAX:
                tail = (folder / "coordinator.log").read_text()[-3000:]
                raise SystemExit(f"chaos: the run did not end (seed {seed}):\n{tail}")
            cluster.keep()
            if seed is not None:
                faults.turn()
            time.sleep(0.05)
        report = json.loads((cluster.run / "report.json").read_text())
    finally:
        faults.calm()
        ended.set()
        watcher.join()
        cluster.close()
    return report, faults.counts, delays, time.monotonic() - begun, cluster.coordinator.starts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--comd", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--questions", type=int, default=150, help="pictures of the pool")
    parser.add_argument("--keep", action="store_true", help="leave logs and runs")
    options = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("ip"):
        raise SystemExit("chaos: needs root, and `ip` of iproute2")
    comd = str(pathlib.Path(options.comd).resolve())
    place = pathlib.Path(tempfile.mkdtemp(prefix="comd-chaos-"))
    network = Network(options.workers + 1)
    failed = False
    try:
        data = place / "data"
        call(comd, "shapes", "sample", "--count", str(options.questions), "--questions", "4",
             "--captions", "200", "--evaluation", "4", "--out", str(data))  # fmt: skip
        say("the undisturbed run")
        expected, _, _, seconds, _ = one_run(
            comd, network, data, place / "calm", options.workers, None)  # fmt: skip
        say(f"undisturbed: {seconds:.0f} s, {expected['jobs']['accepted']} jobs")
        end, seed, delays = time.monotonic() + options.minutes * 60, options.seed, []
        while time.monotonic() < end:
            report, counts, new, seconds, starts = one_run(
                comd, network, data, place / f"run-{seed}", options.workers, seed)  # fmt: skip
            delays += new
            same = facts(report) == facts(expected)
            failed = failed or not same
            jobs = report["jobs"]
            say(
                f"seed {seed}: {'the same report' if same else 'ANOTHER REPORT'} after "
                f"{seconds:.0f} s; {', '.join(f'{k} {v}' for k, v in sorted(counts.items()))}; "
                f"coordinator started {starts} times; {jobs['attempts']} attempts, "
                f"{jobs['reassigned']} reassigned, {jobs['duplicates_compared']} twins compared, "
                f"{jobs['duplicates_differing']} differing, {jobs['lost']} lost")  # fmt: skip
            seed += 1
        if delays:
            say(
                f"a killed worker had left after {statistics.median(delays):.2f} s in the median, "
                f"{max(delays):.2f} s at most ({len(delays)} times, none behind a cut line or "
                "while the coordinator stood still or was away)")  # fmt: skip
    finally:
        network.close()
        if failed or options.keep:
            say(f"logs and runs are in {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
