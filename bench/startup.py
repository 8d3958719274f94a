"""How fast the command starts: `ogive check` of one file and `ogive --help`, against importing torch.

    python bench/startup.py [--rounds 15] [--gate]

Whole processes, cold interpreters, interleaved (torch, help, check, torch, ...); figures are medians. What is checked
is one file with one network, and beside it the library's vit with its five presets. Bytecode of all modules is written
in the first round, which is not counted, as it is when a package is installed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

FILE = """
from std.timm import Mlp

block Mixer(tokens, channels):
    input x: B N C
    residual:
        norm1 = layernorm(eps=1e-6)
        transpose
        mlp_tokens = Mlp(tokens)
        transpose
    residual:
        norm2 = layernorm(eps=1e-6)
        mlp_channels = Mlp(channels)

network Small(dim=256, depth=8, patch=16, size=224, classes=10):
    input image: B 3 H=size W=size
    stem = patchify(dim, patch)                             : B (h w) dim
    repeat depth as blocks[i]:
        Mixer(tokens = dim // 2, channels = 4 * dim)
    norm = layernorm(eps=1e-6)
    global_pool
    head = linear(classes)                                  : B classes
"""

LIMITS = {"help": 0.25, "check": 0.45, "check vit": 0.45}


def main() -> int:
    parser = argparse.ArgumentParser(description="cold starts against import torch")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--gate", action="store_true", help="exit 1 where a ratio is above its limit")
    settings = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "small.arch").write_text(FILE, encoding="utf-8")
        commands = {
            "torch": ["-c", "import torch"],
            "help": ["-m", "ogive", "--help"],
            "check": ["-m", "ogive", "check", "small.arch"],
            "check vit": ["-m", "ogive", "check", "vit"],
        }
        times = interleaved(commands, settings.rounds, folder)
    print(f"{'command':<12}{'median s':>10}{'fastest s':>11}{'ratio':>8}{'limit':>8}")
    failed = []
    for name, found in times.items():
        ratio = median(found) / median(times["torch"])
        limit = LIMITS.get(name)
        print(f"{name:<12}{median(found):>10.3f}{min(found):>11.3f}{ratio:>8.3f}{limit or '':>8}")
        if limit is not None and ratio > limit:
            failed.append(name)
    if settings.gate and failed:
        print(f"above the limit: {', '.join(failed)}")
        return 1
    return 0


def interleaved(commands: dict[str, list[str]], rounds: int, folder: str) -> dict[str, list[float]]:
    """Seconds of every process; the first round brings files into memory and is not counted."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = folder
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, words in commands.items():
            start = time.perf_counter()
            done = subprocess.run([sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True)
            took = time.perf_counter() - start
            if done.returncode:
                raise SystemExit(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
            if number:
                times[name].append(took)
    return times


if __name__ == "__main__":
    sys.exit(main())
