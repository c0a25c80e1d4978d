"""The commands in processes of their own, and what a run leaves behind."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Command:
    """A command in a process of its own."""

    def __init__(self, name, *arguments, **environment):
        line = [sys.executable, "-m", f"experiments.{name}", *map(str, arguments)]
        self._process = subprocess.Popen(
            line,
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def when(self, path, *numbers):
        """Sends signals as soon as there is such a file."""
        deadline = time.monotonic() + 120
        while not path.exists() or not path.stat().st_size:
            assert self._process.poll() is None, self._process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for number in numbers:
            self._process.send_signal(number)
            time.sleep(0.1)
        return self

    def end(self):
        """The exit code and what it said on stderr."""
        _, said = self._process.communicate(timeout=120)
        return self._process.returncode, said


def outcome(directory):
    """The metrics and, but for times, the results."""
    results = json.loads((directory / "results.json").read_text())
    for name in ("seconds", "steps_per_second"):
        del results[name]
    return (directory / "metrics.jsonl").read_text(), results
