"""A training run that kills itself at a given moment, for `experiments.chaos`."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import jax
from absl import flags
from ml_collections import ConfigDict

from experiments import command_line
from experiments.train import train
from experiments.training.stopwatch import BUCKETS, EVENT

PHASE = flags.DEFINE_enum("phase", None, BUCKETS, "The phase in which the run dies.")
ENTRY = flags.DEFINE_integer("entry", 1, "At which time that it is entered.")
DELAY = flags.DEFINE_float("delay", 0.0, "How many seconds after that.")


def arm(phase: str) -> None:
    """Listens to the phases; the first step is the one that compiles."""
    wanted = EVENT + ("step" if phase == "compile" else phase)
    left = ENTRY.value

    def on_event(event: str, **_: str | int) -> None:
        nonlocal left
        left -= event == wanted
        if event == wanted and left == 0:
            threading.Timer(DELAY.value, os.kill, (os.getpid(), signal.SIGKILL)).start()

    jax.monitoring.register_event_listener(on_event)


def main(config: ConfigDict, workdir: Path) -> None:
    if PHASE.value:
        arm(PHASE.value)
    train(config, workdir)


if __name__ == "__main__":
    command_line.run(main)
