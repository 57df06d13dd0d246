#!/usr/bin/env python3
"""A real run under faults, beside the same run undisturbed: both must end with the same report.

usage: chaos.py --comd FILE [--minutes 10] [--workers 4] [--seed N] [--keep]

Needs root and iproute2: every node has a network namespace of its own, on a bridge in one more. What
goes wrong, one thing every second or so, several at a time: a worker or the coordinator is killed
(SIGKILL) or stopped (SIGSTOP), a node's link goes down or is slow, one node no longer reaches the
coordinator or the other way round, a node's packets are lost, late, doubled and swapped, the
coordinator's disk is full, a process's clock steps. What this machine lacks the tool for is left out,
and said at the start. Runs are repeated until the minutes are over.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import struct
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
# After a disturbance of packets, until what was lost or waited has arrived.
SETTLING_SECONDS = 3
CLOCK_OFFSETS = [-5 * 3600, -90, 0, 20, 3600, 300 * 86400]
SLOW_LINK = ["rate", "2mbit", "burst", "16kb", "latency", "400ms"]
# The signals that shall end everything. They are only noted, so that nothing is left half done; and as
# all other processes have sessions of their own, Ctrl-C reaches none but this one.
interrupts = []


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def call(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True)
    if check and done.returncode:
        raise SystemExit(f"chaos: {' '.join(command)}: {done.stderr.strip()}")
    return done.returncode == 0


class Network:
    """A bridge in a namespace of its own, and a namespace with one link for each node.

    A link is a veth pair from eth0 to portN, which is at the bridge. While packets of a node are to be
    disturbed its port is at another bridge, sideN, and between the two bridges is relay.py, which is a
    process. So it costs nothing while it disturbs nothing.
    """

    def __init__(self, nodes):
        self.tag = f"cmd{os.getpid() % 10000}"
        self.hub = f"{self.tag}hub"
        self.nodes = nodes
        self.relay = None
        self.disturbed = {}  # node: what goes wrong there, as a set of (way, word)

    def open(self):
        call("ip", "netns", "add", self.hub)
        self.add_bridge("bridge")
        for node in range(self.nodes):
            call("ip", "netns", "add", self.name(node))
            call("ip", "-n", self.hub, "link", "add", f"port{node}", "type", "veth", "peer",
                 "name", "eth0", "netns", self.name(node))  # fmt: skip
            self.hub_link(f"port{node}", "master", "bridge", "up")
            call("ip", "-n", self.name(node), "addr", "add", f"{self.address(node)}/24", "dev",
                 "eth0")  # fmt: skip
            for link in ("lo", "eth0"):
                call("ip", "-n", self.name(node), "link", "set", link, "up")
        self.has_tbf = bool(shutil.which("tc")) and self.slow(0, "down", True)
        if self.has_tbf:
            self.slow(0, "down", False)
        if os.path.exists("/dev/net/tun"):
            self.start_relay()

    def start_relay(self):
        self.relay = subprocess.Popen(
            ["ip", "netns", "exec", self.hub, sys.executable, str(TOP / "scripts/relay.py"),
             str(self.nodes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True)  # fmt: skip
        if self.relay.stdout.readline() != "ready\n":
            self.relay.communicate()
            self.relay = None
            return
        for node in range(self.nodes):
            self.add_bridge(f"side{node}")
            self.hub_link(f"near{node}", "master", f"side{node}", "up")
            self.hub_link(f"far{node}", "up")

    def name(self, node):
        return f"{self.tag}n{node}"

    def address(self, node):
        return f"10.77.0.{node + 1}"

    def add_bridge(self, name):
        call("ip", "-n", self.hub, "link", "add", name, "type", "bridge")
        self.hub_link(name, "up")

    def hub_link(self, link, *words):
        call("ip", "-n", self.hub, "link", "set", link, *words)

    def blackhole(self, node, other, how):
        call("ip", "-n", self.name(node), "route", how, "blackhole", self.address(other),
             check=False)  # fmt: skip

    def slow(self, node, way, on):
        """Makes one direction of a node's link slow, or fast again."""
        space, link = (self.name(node), "eth0") if way == "up" else (self.hub, f"port{node}")
        how, what = ("replace", ["tbf", *SLOW_LINK]) if on else ("del", [])
        return call("tc", "-n", space, "qdisc", how, "dev", link, "root", *what, check=False)

    def disturb(self, node, way, **words):
        """What relay.py shall do to the packets of a node from now on; zero ends it."""
        on = self.disturbed.setdefault(node, set())
        was = bool(on)
        for word, value in words.items():
            (on.add if value else on.discard)((way, word))
        order = json.dumps({"node": node, "way": way, **words})
        try:
            print(order, file=self.relay.stdin, flush=True)
        except BrokenPipeError:
            raise SystemExit("chaos: relay.py has ended")
        if on and not was:
            self.hub_link(f"port{node}", "master", f"side{node}")
            self.hub_link(f"far{node}", "master", "bridge")
        if was and not on:
            self.hub_link(f"far{node}", "nomaster")
            self.hub_link(f"port{node}", "master", "bridge")

    def close(self):
        """Takes everything away. What relay.py did to how many packets."""
        frames = {}
        if self.relay:
            try:
                frames = json.loads(self.relay.communicate(timeout=10)[0] or "{}")
            except subprocess.TimeoutExpired:
                self.relay.kill()
                self.relay.wait()
        for name in [self.name(node) for node in range(self.nodes)] + [self.hub]:
            call("ip", "netns", "del", name, check=False)
        return frames


class Process:
    """A process that is started again when it ends, until it ends well. It has a clock of its own."""

    def __init__(self, name, command, log, clock_library):
        self.name, self.command, self.log = name, command, log
        self.handle, self.done, self.starts = None, False, 0
        self.start_at = 0.0
        self.stopped_until = None
        self.offset = log.with_suffix(".clock")
        self.offset.write_bytes(struct.pack("=q", 0))
        self.environment = dict(os.environ)
        if clock_library:
            self.environment["LD_PRELOAD"] = str(clock_library)
            self.environment["CLOCK_OFFSET_FILE"] = str(self.offset)

    def set_clock(self, seconds):
        """From now on the process sees another time of day, so many seconds from ours."""
        with open(self.offset, "r+b") as file:
            file.write(struct.pack("=q", seconds))

    def keep(self):
        now = time.monotonic()
        if self.handle is None:
            if not self.done and now >= self.start_at:
                with open(self.log, "ab") as log:
                    self.handle = subprocess.Popen(
                        self.command, stdout=log, stderr=log, env=self.environment,
                        start_new_session=True)  # fmt: skip
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
    def __init__(self, network, folder, clock_library):
        self.network, self.folder, self.clock_library = network, folder, clock_library
        self.run = folder / "run"
        self.coordinator, self.workers = None, []

    def open(self, comd, data, workers):
        network, folder = self.network, self.folder
        self.run.mkdir(parents=True)
        call("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(self.run))
        text = (TOP / "Examples/shapes/cluster.yaml").read_text()
        text = re.sub(r"coordinator: .*", "coordinator: { control: \"tcp://0.0.0.0:7700\", "
                      "bulk: \"tcp://0.0.0.0:7701\", dashboard: none }", text)  # fmt: skip
        text = text.replace("../../runs/shapes-data", str(data)).replace("../..", str(TOP))
        text = text.replace("prompts: prompts", f"prompts: {TOP}/Examples/shapes/prompts")
        # Trainings of some twenty steps: with checkpoints in them, and none so near that it never counts.
        text = text.replace("checkpoint_every: 50", "checkpoint_every: 7")
        text = text.replace("iterations: 4", "iterations: 2").replace("epochs: 4", "epochs: 2")
        # Stage 1 sends f32.
        text = text.replace("tune: {", "tune: { wire: bf16,")
        config = folder / "cluster.yaml"
        config.write_text(text)
        call(comd, "init", "--dir", str(folder), "--workers", str(workers), "--host",
             network.address(0))  # fmt: skip

        def in_node(node, *words):
            return ["ip", "netns", "exec", network.name(node), comd, *words]

        self.coordinator = Process(
            "coordinator",
            in_node(0, "coordinator", "--config", str(config), "--dir", str(self.run)),
            folder / "coordinator.log", self.clock_library)  # fmt: skip
        self.workers = [
            Process(
                f"w{number}",
                in_node(
                    number, "worker", "--access", str(folder / f"keys/workers/w{number}.access"),
                    "--dir", str(folder / f"w{number}"), "--threads", "1"),  # fmt: skip
                folder / f"w{number}.log", self.clock_library)  # fmt: skip
            for number in range(1, workers + 1)
        ]

    def processes(self):
        return [self.coordinator, *self.workers]

    def keep(self):
        for process in self.processes():
            process.keep()

    def close(self):
        for process in [*self.workers, self.coordinator]:
            if process:
                process.end()
        call("umount", "-l", str(self.run), check=False)


class Faults:
    """What goes wrong, drawn from a seed; what was done is undone when its time is over."""

    def __init__(self, cluster, random):
        self.cluster, self.network, self.random = cluster, cluster.network, random
        self.on = {}  # what is wrong: when it is undone, and how
        self.next = time.monotonic() + 5
        self.counts = {}
        self.killed = {}  # worker: when, until its coordinator has noticed
        self.blind = {}  # worker, or "coordinator": until when no kill of it can be noticed
        self.faults = [
            ("worker killed", self.kill), ("worker killed", self.kill),
            ("worker stopped", self.stop), ("link down", self.link), ("one way cut", self.one_way),
            ("coordinator killed", self.kill_coordinator),
            ("coordinator stopped", self.stop_coordinator), ("disk full", self.fill),
        ]  # fmt: skip
        if self.network.relay:
            self.faults += [
                ("packets lost", lambda: self.packets(lost=0.05)),
                ("packets late", lambda: self.packets(late=0.08)),
                ("packets doubled and swapped", lambda: self.packets(doubled=0.02, swapped=0.02)),
            ]
        if self.network.has_tbf:
            self.faults += [("link slow", self.slow)]
        if self.cluster.clock_library:
            self.faults += [("clock stepped", self.step_clock)]

    def turn(self):
        now = time.monotonic()
        for key in [key for key, (until, _) in self.on.items() if until <= now]:
            self.on.pop(key)[1]()
        if now < self.next:
            return
        self.next = now + self.random.uniform(0.4, 1.6)
        name, act = self.random.choice(self.faults)
        # The coordinator's own faults are rarer, or nothing would ever be done.
        if act in (self.kill_coordinator, self.stop_coordinator, self.fill):
            if self.random.random() < 0.6:
                return
        if act():
            self.counts[name] = self.counts.get(name, 0) + 1

    def begin(self, key, seconds, act, undo):
        """Does something for so many seconds, if it is not going on already. Whether it was done."""
        if key in self.on:
            return False
        self.on[key] = time.monotonic() + seconds, undo
        act()
        return True

    def calm(self):
        while self.on:
            self.on.popitem()[1][1]()

    def worker_node(self):
        return self.random.randrange(1, len(self.cluster.workers) + 1)

    def node_and_ways(self):
        """A node, the coordinator's more rarely, and which directions of its link."""
        node = 0 if self.random.random() < 0.1 else self.worker_node()
        return node, self.random.choice([["up"], ["down"], ["up", "down"]])

    def kill(self):
        worker = self.random.choice(self.cluster.workers)
        if not worker.kill(self.random.uniform(1, 8)):
            return False
        now = time.monotonic()
        if all(self.blind.get(name, 0) < now for name in (worker.name, "coordinator")):
            self.killed[worker.name] = now
        return True

    def hide(self, node, seconds):
        """What happens at a node cannot be noticed: it is no measure of how quickly it is."""
        name = self.cluster.processes()[node].name
        until = time.monotonic() + seconds
        self.blind[name] = max(until, self.blind.get(name, 0))
        if node == 0:
            self.killed = {}
        self.killed.pop(name, None)

    def stop(self):
        return self.random.choice(self.cluster.workers).stop(self.random.uniform(0.5, 8))

    def kill_coordinator(self):
        seconds = self.random.uniform(0.5, 4)
        self.hide(0, seconds + CONNECTING_SECONDS)
        return self.cluster.coordinator.kill(seconds)

    def stop_coordinator(self):
        seconds = self.random.uniform(0.5, 6)
        self.hide(0, seconds)
        return self.cluster.coordinator.stop(seconds)

    def link(self):
        node, seconds = self.worker_node(), self.random.uniform(0.5, 8)
        self.hide(node, seconds + CONNECTING_SECONDS)
        return self.begin(
            ("link", node), seconds, lambda: self.network.hub_link(f"port{node}", "down"),
            lambda: self.network.hub_link(f"port{node}", "up"))  # fmt: skip

    def one_way(self):
        node, seconds = self.worker_node(), self.random.uniform(0.5, 8)
        ends = self.random.choice([(0, node), (node, 0)])
        self.hide(node, seconds + CONNECTING_SECONDS)
        return self.begin(
            ("one way", *ends), seconds, lambda: self.network.blackhole(*ends, "add"),
            lambda: self.network.blackhole(*ends, "del"))  # fmt: skip

    def packets(self, **words):
        """Disturbs a node's packets. A connection that ends is noticed later by what is resent."""
        (node, ways), seconds = self.node_and_ways(), self.random.uniform(3, 10)
        self.hide(node, seconds + SETTLING_SECONDS)

        def act(words):
            for way in ways:
                self.network.disturb(node, way, **words)

        return self.begin(
            ("packets", node, *words), seconds, lambda: act(words),
            lambda: act(dict.fromkeys(words, 0)))  # fmt: skip

    def slow(self):
        """Makes a node's link slow. The end of a connection waits behind what is on its way."""
        (node, ways), seconds = self.node_and_ways(), self.random.uniform(2, 6)
        self.hide(node, seconds + SETTLING_SECONDS)

        def act(on):
            for way in ways:
                self.network.slow(node, way, on)

        return self.begin(("slow", node), seconds, lambda: act(True), lambda: act(False))

    def step_clock(self):
        process = self.random.choice(self.cluster.processes())
        process.set_clock(self.random.choice(CLOCK_OFFSETS))
        return True

    def fill(self):
        filler = self.cluster.run / "filler"

        def act():
            with open(filler, "wb") as file:
                try:
                    while True:
                        file.write(bytes(1 << 20))
                except OSError:
                    pass

        return self.begin(
            "disk", self.random.uniform(1, 5), act, lambda: filler.unlink(missing_ok=True))  # fmt: skip


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


def one_run(comd, network, clock_library, data, folder, workers, seed):
    """A whole run; `seed` None: undisturbed. Its report, what went wrong, delays of detection."""
    with contextlib.ExitStack() as ends:
        cluster = Cluster(network, folder, clock_library)
        ends.callback(cluster.close)
        cluster.open(comd, data, workers)
        faults = Faults(cluster, random.Random(seed))
        ends.callback(faults.calm)
        delays, ended = [], threading.Event()
        watcher = threading.Thread(target=watch_departures, args=(cluster, faults, delays, ended))
        watcher.start()
        ends.callback(watcher.join)
        ends.callback(ended.set)
        begun = time.monotonic()
        while not cluster.coordinator.done:
            if time.monotonic() - begun > RUN_SECONDS_MAX:
                tail = (folder / "coordinator.log").read_text()[-3000:]
                raise SystemExit(f"chaos: the run did not end (seed {seed}):\n{tail}")
            if interrupts:
                raise SystemExit(f"chaos: ended by {signal.Signals(interrupts[0]).name}")
            cluster.keep()
            if seed is not None:
                faults.turn()
            time.sleep(0.05)
        report = json.loads((cluster.run / "report.json").read_text())
    return report, faults.counts, delays, time.monotonic() - begun, cluster.coordinator.starts


def make_clock_library(place):
    """The library with which a process has a clock of its own; None without a C compiler."""
    library = place / "clock.so"
    source = str(TOP / "scripts/clock.c")
    compiler = shutil.which("cc") or shutil.which("clang")
    if not compiler:
        return None
    call(compiler, "-O2", "-shared", "-fPIC", "-o", str(library), source)
    return library


def say_what_is_left_out(network, clock_library):
    for there, tool, faults in (
        (network.relay, "/dev/net/tun for relay.py", "packets lost, late, doubled and swapped"),
        (network.has_tbf, "tc with tbf", "slow links"),
        (clock_library, "C compiler", "steps of the clock"),
    ):
        if not there:
            say(f"left out, as this machine has no {tool}: {faults}")


def relay_worked(counts, frames):
    """Whether relay.py disturbed packets in each way in which it was told to, some times at least."""
    if frames:
        say("relay.py: frames " + ", ".join(f"{key} {value}" for key, value in frames.items()))
    told = {"packets lost": ["lost"], "packets late": ["late"],
            "packets doubled and swapped": ["doubled", "swapped"]}  # fmt: skip
    expected = [word for name, words in told.items() if counts[name] >= 5 for word in words]
    return all(frames.get(word) for word in expected)


def runs(options, network, clock_library, place, counts):
    """The undisturbed run, and disturbed ones until the time is over. Whether all reports are equal."""

    def run(name, seed):
        folder = place / name
        return one_run(options.comd, network, clock_library, data, folder, options.workers, seed)

    data, good, delays = place / "data", True, []
    call(options.comd, "shapes", "sample", "--count", str(options.questions), "--questions", "4",
         "--captions", "200", "--evaluation", "4", "--out", str(data))  # fmt: skip
    say("the undisturbed run")
    expected, _, _, seconds, _ = run("calm", None)
    say(f"undisturbed: {seconds:.0f} s, {expected['jobs']['accepted']} jobs")
    end, seed = time.monotonic() + options.minutes * 60, options.seed
    while time.monotonic() < end:
        report, new_counts, new_delays, seconds, starts = run(f"run-{seed}", seed)
        counts.update(new_counts)
        delays += new_delays
        same = facts(report) == facts(expected)
        good = good and same
        jobs = report["jobs"]
        say(
            f"seed {seed}: {'the same report' if same else 'ANOTHER REPORT'} after {seconds:.0f} s; "
            f"{', '.join(f'{k} {v}' for k, v in sorted(new_counts.items()))}; "
            f"coordinator started {starts} times; {jobs['attempts']} attempts, "
            f"{jobs['reassigned']} reassigned, {jobs['duplicates_compared']} twins compared, "
            f"{jobs['duplicates_differing']} differing, {jobs['lost']} lost")  # fmt: skip
        seed += 1
    say("in all: " + ", ".join(f"{key} {value}" for key, value in sorted(counts.items())))
    if delays:
        say(
            f"a killed worker had left after {statistics.median(delays):.2f} s in the median, "
            f"{max(delays):.2f} s at most ({len(delays)} times, none behind a disturbed link or "
            "while the coordinator stood still or was away)")  # fmt: skip
    return good


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
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: interrupts.append(number))
    options.comd = str(pathlib.Path(options.comd).resolve())
    place = pathlib.Path(tempfile.mkdtemp(prefix="comd-chaos-"))
    network = Network(options.workers + 1)
    good, counts, frames = False, collections.Counter(), {}
    try:
        network.open()
        clock_library = make_clock_library(place)
        say_what_is_left_out(network, clock_library)
        good = runs(options, network, clock_library, place, counts)
    finally:
        frames = network.close()
        good = relay_worked(counts, frames) and good
        if not good or options.keep:
            say(f"logs and runs are in {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
