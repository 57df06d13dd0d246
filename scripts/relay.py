#!/usr/bin/env python3
"""A link that loses, delays, doubles and swaps packets, in user space. Started by chaos.py.

usage: relay.py NODES

For node N it makes two TAP devices, nearN and farN, and carries Ethernet frames between them: what
comes in at nearN goes "up" to farN, what comes in at farN goes "down" to nearN. Standard input has one
JSON object a line: {"node": 1, "way": "up", "lost": 0.05}. What can be set is `lost`, `doubled` and
`swapped` (shares of the frames) and `late` (seconds); what is not named stays as it was. The devices
are gone when the input ends; what was done to how many frames is then written as one JSON object.
"""

import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
FRAME_MAX = 2048
# So many frames of one device are taken before the others are looked at.
FRAMES_AT_ONCE = 64
JITTER_SECONDS = 0.01
SWAP_SECONDS = 0.01
TWIN_SECONDS = 0.002


def tap(name):
    """A TAP device without offloads: the kernel hands over whole frames of at most the MTU."""
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return file


class Way:
    """One direction of one node's link."""

    def __init__(self, out):
        self.out = out
        self.faults = {"lost": 0.0, "late": 0.0, "doubled": 0.0, "swapped": 0.0}
        self.last_due = 0.0  # no frame but a swapped one is due before the one that came before it


class Relay:
    def __init__(self, nodes):
        self.ways = {}  # (node, "up" or "down"): Way
        self.inputs = {}  # file: the way of what is read from it
        self.waiting = []  # a heap of (when it is due, number, where it goes, frame)
        self.number = 0
        self.counts = dict.fromkeys(("passed", "lost", "late", "doubled", "swapped"), 0)
        for node in range(nodes):
            near, far = tap(f"near{node}"), tap(f"far{node}")
            self.inputs[near] = self.ways[node, "up"] = Way(far)
            self.inputs[far] = self.ways[node, "down"] = Way(near)

    def order(self, line):
        """Takes in a line of the standard input."""
        words = json.loads(line)
        faults = self.ways[words.pop("node"), words.pop("way")].faults
        if not words.keys() <= faults.keys():
            raise ValueError(f"unknown words in {line}")
        faults.update(words)

    def happens(self, way, what):
        """Draws whether this befalls a frame; counts it."""
        if way.faults[what] and random.random() < way.faults[what]:
            self.counts[what] += 1
            return True
        return False

    def carry(self, way, frame, now):
        if self.happens(way, "lost"):
            return
        due = now
        if way.faults["late"]:
            due += way.faults["late"] + random.uniform(-JITTER_SECONDS, JITTER_SECONDS)
            self.counts["late"] += 1
        way.last_due = due = max(due, way.last_due)
        if self.happens(way, "swapped"):
            due += random.uniform(0, SWAP_SECONDS)
        self.send_at(due, way.out, frame, now)
        if self.happens(way, "doubled"):
            self.send_at(due + random.uniform(0, TWIN_SECONDS), way.out, frame, now)

    def send_at(self, due, out, frame, now):
        if due <= now:
            self.send(out, frame)
        else:
            self.number += 1
            heapq.heappush(self.waiting, (due, self.number, out, frame))

    def send(self, out, frame):
        self.counts["passed"] += 1
        try:
            os.write(out, frame)
        except OSError:
            pass  # the device is down: the frame is lost

    def send_due(self, now):
        while self.waiting and self.waiting[0][0] <= now:
            _, _, out, frame = heapq.heappop(self.waiting)
            self.send(out, frame)

    def take(self, file):
        way = self.inputs[file]
        for _ in range(FRAMES_AT_ONCE):
            try:
                frame = os.read(file, FRAME_MAX)
            except OSError:
                return  # there is no more, or the device is down
            self.carry(way, frame, time.monotonic())

    def run(self):
        """Carries frames until the standard input ends."""
        poll, typed = select.epoll(), b""
        orders = sys.stdin.fileno()
        for file in [orders, *self.inputs]:
            poll.register(file, select.EPOLLIN)
        while True:
            wait = max(0, self.waiting[0][0] - time.monotonic()) if self.waiting else None
            for file, _ in poll.poll(wait):
                if file != orders:
                    self.take(file)
                    continue
                new = os.read(orders, 1 << 16)
                if not new:
                    return
                *lines, typed = (typed + new).split(b"\n")
                for line in lines:
                    self.order(line)
            self.send_due(time.monotonic())


def main():
    relay = Relay(int(sys.argv[1]))
    print("ready", flush=True)
    relay.run()
    print(json.dumps(relay.counts), flush=True)


if __name__ == "__main__":
    main()
