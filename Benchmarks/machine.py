"""What the machine is, and how busy it is."""

import os
import pathlib
import platform
import subprocess

# Of the processor's abilities those that decide how matrices are multiplied.
ABILITIES = {
    "x86_64": "avx2 fma avx512f avx512_vnni avx512_bf16 amx_bf16 amx_int8".split(),
    "aarch64": "asimd asimddp i8mm bf16".split(),
}.get(platform.machine(), [])


def processor_fields():
    """The first processor of /proc/cpuinfo."""
    text = pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    pairs = [line.split(":", 1) for line in text.splitlines() if ":" in line]
    return {key.strip(): value.strip() for key, value in pairs}


def said(*command):
    """The first line that a program says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except OSError:
        return f"no {command[0]}"
    return ((done.stdout or done.stderr).strip().splitlines() or [""])[0]


def description():
    fields = processor_fields()
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": fields.get("model name", platform.machine()),
        "family": "/".join(fields.get(key, "?") for key in ("cpu family", "model", "stepping")),
        "cores": os.cpu_count(),
        "abilities": [flag for flag in ABILITIES if flag in flags],
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "compiler": said("swift", "--version"),
        "commit": commit(),
    }


def commit():
    """Of the sources; with a mark where they were changed since."""
    top = str(pathlib.Path(__file__).resolve().parent.parent)
    changed = said("git", "-C", top, "status", "--porcelain", "Sources")
    mark = "" if changed == "" else " with changes"
    return said("git", "-C", top, "rev-parse", "--short", "HEAD") + mark


def busy_seconds():
    """Seconds that all cores have worked since the start, for anybody, stolen time included."""
    words = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _, _, interrupts, soft, stolen = (int(word) for word in words[:8])
    ticks = user + nice + system + interrupts + soft + stolen
    return ticks / os.sysconf("SC_CLK_TCK")
