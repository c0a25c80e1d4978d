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


class Forks:
    """Commands as a user gives them, each in a child of one process that has imported a lot."""

    PARENT = """
import json, os, runpy, sys
from experiments import command_line
for line in sys.stdin:
    name, *sys.argv[1:] = json.loads(line)
    child = os.fork()
    if not child:
        for number in (1, 2):
            os.dup2(os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        code = 0
        try:
            runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code or 0
        sys.stdout.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

    def __init__(self, directory):
        self._said = [directory / "stdout", directory / "stderr"]
        self._parent = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", self.PARENT],
            cwd=ROOT,
            env=os.environ | {"COLUMNS": "80"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, name, *arguments):
        """The exit code and what was said on stdout and on stderr."""
        line = json.dumps([name, *map(str, [*self._said, *arguments])])
        self._parent.stdin.write(f"{line}\n")
        self._parent.stdin.flush()
        code = int(self._parent.stdout.readline())
        return code, *(path.read_text() for path in self._said)

    def close(self):
        self._parent.stdin.close()
        self._parent.wait(timeout=60)


def outcome(directory):
    """The metrics and, but for times, the results."""
    results = json.loads((directory / "results.json").read_text())
    for name in ("seconds", "steps_per_second"):
        del results[name]
    return (directory / "metrics.jsonl").read_text(), results
