#!/usr/bin/env python3
"""What elastic training costs and keeps: real processes on this machine, killed, joined and drained.

usage: training.py --comd FILE [--model FOLDER] [--only NAME,...] [--seed N] [--minutes M]

  histories   one value of the weights for 1, 2, 3, 5 and 8 workers that come and go, the coordinator too
  resume      stopped in the middle, gone on with by another number of workers: the same weights
  curves      200 steps of SmolLM2-135M on LLaVA's dialogues: the same for 1, 2 and 3 workers of which
              some are killed, and PyTorch's within 1e-4 ($COMD_PYTHON has torch and transformers)
  pair        a step of two workers beside one worker's step of half the batch, one thread each
  checkpoint  steps with and without checkpoints
  kill        from a kill in the middle of a step to the next commit
  goodput     steps while a worker is killed every 30 s and back 10 s later, beside undisturbed ones
  memory      resident memory of four workers that keep two copies of the moments, or all

`histories` and `resume` train the embedded world's student on captions (runs/shapes-data, which
`make demo` writes); the others need --model, a Hugging Face folder of SmolLM2-135M
(`comd model convert`), and $COMD_DATA_DIR for LLaVA's dialogues. What was measured goes to
training.jsonl beside this file, where a name replaces its older self.
"""

import argparse
import contextlib
import json
import mmap
import os
import pathlib
import random
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
RESULTS = pathlib.Path(__file__).resolve().parent / "training.jsonl"
RUN_SECONDS_MAX = 3600
COORDINATOR = "coordinator"
NEVER = 1_000_000  # steps from one checkpoint to the next
DEFAULT_EVERY = 50
MADV_POPULATE_WRITE = 23  # since Linux 5.14; not among Python's names
STEPS = "SELECT coalesce(max(step) + 1, 0) FROM steps"


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def dialogues(count, words=None, same=False):
    """LLaVA's dialogues about pictures, without the pictures; `words`: answers of so many at most."""
    folder = pathlib.Path(os.environ["COMD_DATA_DIR"]) / "llava_text"

    def lines(name):
        return [json.loads(line) for line in (folder / name).read_text().splitlines() if line.strip()]

    asked = {line["question_id"]: line["text"] for line in lines("qa90_questions.jsonl")}
    pairs = [(asked[line["question_id"]], line["text"]) for line in lines("qa90_gpt4_answer.jsonl")]
    pairs += [(line["instruction"], line["output"]) for line in lines("coco2014_val_gpt4_qa_30x3.jsonl")]
    if words:
        pairs = [(question, " ".join(answer.split()[:words])) for question, answer in pairs]
    if same:
        pairs = [max(pairs, key=lambda pair: len(pair[1]))] * count
    return [
        {"id": str(number), "conversations": [
            {"from": "human", "value": question}, {"from": "gpt", "value": answer}]}
        for number, (question, answer) in enumerate(pairs[:count])
    ]  # fmt: skip


class Training:
    """A run that only trains: one coordinator and workers that come and go."""

    def __init__(self, options, folder, recipe, model=None, records=None, threads=1):
        self.comd, self.folder, self.threads = options.comd, pathlib.Path(folder), threads
        self.run = self.folder / "run"
        self.processes = {}
        self.commits = []  # (seconds, steps committed), as seen
        self.ended = threading.Event()
        self.folder.mkdir(parents=True, exist_ok=True)
        recipe = ", ".join(f"{key}: {value}" for key, value in recipe.items())
        control, bulk = (free_port() for _ in range(2))
        if model:
            data = self.folder / "dialogues.json"
            data.write_text(json.dumps(records))
            stage1 = f"instructions: {data}\n  images: {self.folder}\n  conversations: {data}"
            models = f"path: {model}, conversation: chatml"
        else:
            data = TOP / "runs/shapes-data"
            stage1 = (f"instructions: {data}/instructions.json\n  instructions_limit: 8\n"
                      f"  images: {data}/images\n  captions: {data}/captions.json\n"
                      f"  captions_limit: 320")  # fmt: skip
            models = f"path: {TOP}/Models/shapes/student, conversation: plain"
        (self.folder / "cluster.yaml").write_text(f"""
run: training
coordinator: {{ control: "tcp://127.0.0.1:{control}", bulk: "tcp://127.0.0.1:{bulk}",
               dashboard: none, journal: none }}
models:
  teacher: {{ {models} }}
  student: {{ {models} }}
data:
  {stage1}
method: {{ iterations: 0 }}
pretrain: {{ {recipe} }}
""")
        self.call("init", "--dir", str(self.folder), "--workers", "64")
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def call(self, *words):
        subprocess.run([self.comd, *words], check=True, capture_output=True, start_new_session=True)

    def start(self, name, cores=None):
        words = (
            ["coordinator", "--config", str(self.folder / "cluster.yaml"), "--dir", str(self.run)]
            if name == COORDINATOR else
            ["worker", "--access", str(self.folder / f"keys/workers/{name}.access"),
             "--dir", str(self.folder / name), "--threads", str(self.threads)]
        )  # fmt: skip
        prefix = ["taskset", "-c", cores] if cores else []
        with open(self.folder / f"{name}.log", "a") as log:
            self.processes[name] = subprocess.Popen(
                [*prefix, self.comd, *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True)  # fmt: skip
        return self

    def begin(self, workers, cores=None):
        self.start(COORDINATOR)
        for number in range(1, workers + 1):
            self.start(f"w{number}", cores)
        return self

    def workers(self):
        return sorted(
            name for name, process in self.processes.items()
            if name != COORDINATOR and process.poll() is None)  # fmt: skip

    def kill(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self):
        for name in list(self.processes):
            process = self.processes.pop(name)
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def drain(self, name):
        """Waits for a coordinator that has just been started, and until the worker has left."""
        while self.is_on():
            with contextlib.suppress(subprocess.CalledProcessError):
                self.call("drain", name, "--dir", str(self.run))
                break
            time.sleep(0.2)
        self.processes.pop(name).wait(60)

    def is_on(self):
        return self.processes[COORDINATOR].poll() is None

    def watch(self):
        """Notes when the store has one more committed step."""
        known, store = 0, None
        while not self.ended.wait(0.01):
            try:
                store = store or sqlite3.connect(
                    f"file:{self.run}/run.sqlite?mode=ro", uri=True, timeout=1)
                steps = store.execute(STEPS).fetchone()[0]
            except sqlite3.Error:
                store = None
                continue
            if steps != known:
                self.commits.append((time.monotonic(), steps))
                known = steps

    def steps(self):
        with contextlib.closing(sqlite3.connect(self.run / "run.sqlite")) as store:
            return store.execute(STEPS).fetchone()[0]

    def losses(self):
        with contextlib.closing(sqlite3.connect(self.run / "run.sqlite")) as store:
            return [loss for (loss,) in store.execute("SELECT loss FROM steps ORDER BY step")]

    def wait(self, steps, seconds=RUN_SECONDS_MAX):
        end = time.monotonic() + seconds
        while not self.commits or self.commits[-1][1] < steps:
            if time.monotonic() > end:
                raise SystemExit(f"{self.folder}: not at step {steps} after {seconds} s")
            process = self.processes.get(COORDINATOR)
            if process and process.poll() not in (None, 0):
                raise SystemExit(f"{self.folder}: the coordinator ended with {process.returncode}")
            time.sleep(0.005)

    def finish(self):
        """Waits for the end of the run; the weights' digest."""
        self.processes[COORDINATOR].wait(RUN_SECONDS_MAX)
        if self.processes[COORDINATOR].returncode:
            raise SystemExit(f"{self.folder}: the coordinator failed")
        return json.loads((self.run / "report.json").read_text())["student"]["weights_sha256"]

    def step_seconds(self, first, last):
        """How long each of the steps took that were committed in between."""
        times = dict((steps, at) for at, steps in self.commits)
        return [times[step + 1] - times[step] for step in range(first, last)
                if step in times and step + 1 in times]  # fmt: skip

    def logged(self, pattern):
        return re.findall(pattern, (self.folder / f"{COORDINATOR}.log").read_text())

    def close(self):
        self.stop()
        self.ended.set()
        self.watcher.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


WORLD = dict(batch=16, learning_rate="2e-3", epochs=10, virtual_ranks=8, checkpoint_every=20,
             trained="all")  # fmt: skip


def histories(options, folder):
    """200 steps with a different history for every number of workers."""
    found = {}
    with Training(options, f"{folder}/plain", WORLD).begin(1) as training:
        found["1, undisturbed"] = training.finish()
        steps = training.steps()
    for workers in (1, 2, 3, 5, 8):
        draw = random.Random(f"{options.seed} {workers}")
        done = []
        with Training(options, f"{folder}/{workers}", WORLD).begin(workers) as training:
            for step in range(12, steps - 12, 12):
                training.wait(step)
                if not training.is_on():
                    break  # it went on while a worker was taking its leave
                there = training.workers()
                what = draw.choice(["kill", "drain", "join", "coordinator"])
                if what == "coordinator":
                    training.kill(COORDINATOR)
                    training.start(COORDINATOR)
                elif what == "join" or (what == "drain" and len(there) == 1):
                    names = [f"w{n}" for n in range(1, 65) if f"w{n}" not in training.processes]
                    training.start(names[0])
                    what = "join"
                else:
                    name = draw.choice(there)
                    training.kill(name) if what == "kill" else training.drain(name)
                    # As many as before, most of the time: a run of one is soon over otherwise.
                    if what == "kill" or draw.random() < 0.5:
                        training.start(name)
                done.append(what)
            found[f"{workers}, {', '.join(f'{done.count(w)} {w}' for w in sorted(set(done)))}"] = (
                training.finish())  # fmt: skip
            backs = len(training.logged("is lost, going on from"))
        say(f"{workers} workers: {done}; {backs} times back")
    return {"steps": steps, "weights": found, "values": len(set(found.values()))}


def resume(options, folder):
    """Stopped after half of the steps, then gone on with by another number of workers."""
    found = {}
    with Training(options, f"{folder}/plain", WORLD).begin(2) as training:
        found["2"] = training.finish()
        steps = training.steps()
    for before, after in ((1, 3), (3, 2), (4, 1)):
        with Training(options, f"{folder}/{before}-{after}", WORLD).begin(before) as training:
            training.wait(steps // 2)
            training.stop()
            found[f"{before}, then {after}"] = training.begin(after).finish()
    return {"steps": steps, "weights": found, "values": len(set(found.values()))}


def curves(options, folder):
    """Every loss of 200 steps, of 1, 2 and 3 workers, and of PyTorch."""
    records = dialogues(160)
    found, backs = {}, {}
    for workers in (1, 2, 3):
        with Training(options, f"{folder}/{workers}", recipe(4, 200, 160, checkpoint_every=20),
                      options.model, records).begin(workers) as training:  # fmt: skip
            for at in (50, 110, 165):
                training.wait(at)
                name = training.workers()[at % workers]
                training.kill(name)
                if workers > 1:
                    training.wait(at + 5)
                training.start(name)
            weights = training.finish()
            found[workers] = (training.losses(), weights)
            backs[workers] = len(training.logged("is lost, going on from"))
            say(f"{workers} workers: {len(found[workers][0])} steps, {weights}")
        run = training.run
    steps = pathlib.Path(folder) / "steps.jsonl"
    with open(steps, "w") as file:
        subprocess.run([options.comd, "parity", "training", "--dir", str(run), "--model",
                        options.model], check=True, stdout=file)  # fmt: skip
    python = os.environ.get("COMD_PYTHON", str(TOP / ".build/peers/bin/python"))
    peer = subprocess.run(
        [python, str(TOP / "Benchmarks/peers/torch_curve.py"), "--model", options.model,
         "--steps", str(steps), "--out", f"{folder}/torch.jsonl"],
        stdout=subprocess.PIPE, text=True)  # fmt: skip
    return {"curves": len({str(losses) for losses, _ in found.values()}), "back": backs,
            "weights": sorted({weights for _, weights in found.values()}),
            "pytorch": json.loads(peer.stdout), "within": peer.returncode == 0}  # fmt: skip


def recipe(batch, steps, samples, **more):
    """Of a training of so many steps or a few more."""
    epochs = -(-steps * batch // samples)
    return dict(batch=batch, virtual_ranks=batch, learning_rate="2e-5", epochs=epochs, trained="all",
                checkpoint_every=NEVER) | more  # fmt: skip


def spread(values):
    return {"median": round(statistics.median(values), 4), "low": round(min(values), 4),
            "high": round(max(values), 4), "count": len(values)}  # fmt: skip


def pair(options, folder):
    """Two workers with a thread each and all of the batch, one with half of it: in turns.

    With one keeper of each segment, too: with two, both workers make every update.
    """
    records = dialogues(64, words=options.words, same=True)
    sides = {"one": (1, 2), "two": (2, 2), "two, one keeper": (2, 1)}
    taken = {side: [] for side in sides}
    for turn in range(options.rounds):
        for side, (workers, replication) in sides.items():
            with Training(options, f"{folder}/{turn}-{side}",
                          recipe(8 * workers, 9, 64, replication=replication),
                          options.model, records).begin(workers) as training:  # fmt: skip
                training.wait(7)
                taken[side] += training.step_seconds(2, 7)
                say(f"{side}: {[round(t, 2) for t in training.step_seconds(2, 7)]}")
    found = {side: spread(times) for side, times in taken.items()}
    return found | {"words": options.words} | {
        f"ratio of {side}": round(found[side]["median"] / found["one"]["median"], 4)
        for side in list(sides)[1:]
    }


def checkpoint(options, folder):
    """All of the time of steps with a checkpoint every so many steps, over the same steps without."""
    records = dialogues(64, words=48, same=True)
    every, count = 10, 20
    taken = {NEVER: [], every: []}
    for turn in range(options.rounds):
        for interval in taken:
            with Training(options, f"{folder}/{turn}-{interval}",
                          recipe(8, count + 8, 64, checkpoint_every=interval), options.model,
                          records).begin(2) as training:  # fmt: skip
                training.wait(count + 4)
                # From one checkpoint to the one after the next: each with all that follows from it.
                seconds = training.step_seconds(3, count + 3)
                taken[interval].append(sum(seconds) / len(seconds))
                say(f"{interval}: {taken[interval][-1]:.3f} s a step")
    cost = statistics.median(taken[every]) / statistics.median(taken[NEVER]) - 1
    return {"every": every, "without": spread(taken[NEVER]), "with": spread(taken[every]),
            "cost": round(cost, 4), "at_the_default": round(cost * every / DEFAULT_EVERY, 4)}  # fmt: skip


def kill(options, folder):
    """A worker is killed in the middle of a step; its loss is noticed; the step is done again."""
    records = dialogues(64, words=48, same=True)
    found = []
    with Training(options, folder, recipe(8, 80, 64), options.model, records).begin(3) as training:
        training.wait(6)
        for number in range(options.rounds):
            name = f"w{number % 3 + 1}"
            # All are there, and their steps are as quick as they were.
            at = training.commits[-1][1] + 6
            training.wait(at)
            usual = statistics.median(training.step_seconds(at - 3, at))
            time.sleep(usual / 2)
            before, begun = training.commits[-1][1], time.monotonic()
            training.kill(name)
            training.wait(before + 1)
            first = training.commits[-1][0] - begun
            training.wait(before + 4)
            after = statistics.median(training.step_seconds(before + 1, before + 4))
            found.append((usual, first, after))
            say(f"step {usual:.2f} s, killed {name}, next commit after {first:.2f} s, "
                f"steps of two workers {after:.2f} s")  # fmt: skip
            training.start(name)
        fences = training.logged("is void")
        backs = training.logged("is lost, going on from")
    return {"step": spread([f[0] for f in found]), "to next commit": spread([f[1] for f in found]),
            "step afterwards": spread([f[2] for f in found]), "fences": len(fences),
            "back": len(backs)}  # fmt: skip


def goodput(options, folder):
    """Four workers, one thread each: one of them is killed every 30 s and is back 10 s later.

    In turns, undisturbed stretches before each disturbed one: a machine is not always as quick
    as it was. Two virtual ranks for each worker: with one, who takes over the lost one's has twice
    as much to do as the others.
    """
    records = dialogues(160, words=48)
    turns, kills = options.turns, 0
    taken = {"undisturbed": [], "disturbed": []}  # (steps, seconds) of each turn
    with Training(options, folder, recipe(8, 8000, 160), options.model, records).begin(4) as training:
        training.wait(6)
        for turn in range(turns):
            for kind, found in taken.items():
                begun, first = training.commits[-1]
                seconds = options.minutes * 60 / turns
                if kind == "disturbed":
                    for _ in range(round(seconds / 30)):
                        name = f"w{kills % 4 + 1}"
                        training.kill(name)
                        time.sleep(10)
                        training.start(name)
                        time.sleep(20)
                        kills += 1
                else:
                    time.sleep(seconds * 0.6)
                last, steps = training.commits[-1]
                found.append((steps - first, last - begun))
                say(f"{kind}: {steps - first} steps, {(steps - first) / (last - begun):.4f} a second")
        fences = len(training.logged("is void"))
        backs = len(training.logged("is lost, going on from"))
    time.sleep(10)
    rates = {kind: sum(s for s, _ in found) / sum(t for _, t in found) for kind, found in taken.items()}
    each = [(d[0] / d[1]) / (u[0] / u[1]) for u, d in zip(taken["undisturbed"], taken["disturbed"])]
    return {kind: round(rate, 4) for kind, rate in rates.items()} | {
        "goodput": round(rates["disturbed"] / rates["undisturbed"], 4), "turns": spread(each),
        "kills": kills, "fences": fences, "back": backs,
        "seconds for a GiB of new memory": round(new_memory(1 << 30), 2)}  # fmt: skip


def new_memory(size):
    """Seconds until the system has given and cleared so much: of a guest also until its host has."""
    begun = time.monotonic()
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        memory.madvise(MADV_POPULATE_WRITE)
        return time.monotonic() - begun


def memory(options, folder):
    """Resident memory of each of four workers, with two copies of the moments and with four."""
    records = dialogues(64, words=24, same=True)
    found = {}
    for replication in (2, 0):
        with Training(options, f"{folder}/{replication}",
                      recipe(8, 40, 64, replication=replication), options.model,
                      records).begin(4) as training:  # fmt: skip
            training.wait(8)
            found[replication] = statistics.median(
                resident(training.processes[name].pid) for name in training.workers())
            say(f"replication {replication}: {found[replication] / 2**20:.0f} MiB a worker")
    return {"two copies": round(found[2] / 2**20), "all": round(found[0] / 2**20),
            "saved": round((found[0] - found[2]) / 2**20)}  # fmt: skip


def resident(process):
    """Bytes of memory that a process has; 0 when it has ended."""
    try:
        pages = pathlib.Path(f"/proc/{process}/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def keep(name, facts):
    known = {}
    if RESULTS.exists():
        known = {json.loads(line)["name"]: line for line in RESULTS.read_text().splitlines()}
    known[name] = json.dumps({"name": name, **facts}, sort_keys=True)
    RESULTS.write_text("".join(known[key] + "\n" for key in sorted(known)))


def main():
    measures = dict(histories=histories, resume=resume, curves=curves, pair=pair, checkpoint=checkpoint, kill=kill,
                    goodput=goodput, memory=memory)  # fmt: skip
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comd", default=str(TOP / ".build/release/comd"))
    parser.add_argument("--model")
    parser.add_argument("--only", default=",".join(measures))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--words", type=int, default=48, help="of pair: in each answer")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--turns", type=int, default=4, help="of goodput")
    parser.add_argument("--keep", help="a folder for the runs, which is kept")
    options = parser.parse_args()
    options.comd = str(pathlib.Path(options.comd).resolve())
    for name in options.only.split(","):
        if name not in measures:
            parser.error(f"--only takes some of {', '.join(measures)}; {name} given")
        if name not in ("histories", "resume") and not options.model:
            say(f"{name}: left out, as it needs --model")
            continue
        with tempfile.TemporaryDirectory(prefix="comd-training-") as place:
            facts = measures[name](options, f"{options.keep or place}/{name}")
        say(f"{name}: {json.dumps(facts)}")
        keep(name, facts)


if __name__ == "__main__":
    sys.exit(main())
