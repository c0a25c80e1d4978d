r"""Sample from the best parameters of a run: text to read, music to hear, pictures to look at.

    python -m experiments.sample --workdir=runs/text
    python -m experiments.sample --workdir=runs/text --prompt="def " \
        --temperature=0.7 --length=300
    python -m experiments.sample --workdir=runs/translation \
        --prompt="ein hund im schnee ."
    python -m experiments.sample --workdir=runs/music --length=64 --seed=1

What a flag means depends on the task of the run, and each task takes some of them. What was sampled
is kept in WORKDIR/samples.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from experiments import command_line
from experiments.config import ConfigError
from experiments.task import Task
from experiments.training.step import TrainState

PROMPT = (
    "What a language model goes on from; the sentence to translate or the text to summarise;"
    " for cloze a text with ___ for each missing word; the path of a picture for captioning, of a"
    " WAV file for speech, of a drawing for handwriting, of a .ts file for classification, of a"
    " CSV file for forecasting, of the MIDI file that opens a piece of music."
)
OPTIONS = {
    "prompt": flags.DEFINE_string("prompt", None, PROMPT),
    "length": flags.DEFINE_integer(
        "length",
        None,
        "At most so many symbols of a text; so many points of handwriting; so many frames of music,"
        " its opening included.",
    ),
    "temperature": flags.DEFINE_float("temperature", None, "Below 1: safer; above 1: bolder."),
    "bias": flags.DEFINE_float("bias", None, "0: handwriting as it was learnt; larger: neater."),
    "top_k": flags.DEFINE_integer("top_k", None, "Only the k likeliest symbols."),
    "top_p": flags.DEFINE_float("top_p", None, "Only the likeliest symbols of this total mass."),
    "unit": flags.DEFINE_enum(
        "unit", None, ["sentence", "paragraph"], "Where a text ends; --length bounds it."
    ),
}
SEED = flags.DEFINE_integer("seed", 0, "Seed of the random choices.")


def sample(config: ConfigDict, workdir: Path, seed: int = 0, **options: Any) -> None:
    """Lets the task sample, with the best member's parameters, into `workdir/samples`.

    Raises:
        ConfigError: if the task has nothing to sample, an option is not its own, or the run has
            no checkpoint.
    """
    task = command_line.build_task(config)
    if task.sample is None:
        raise ConfigError(f"the task {config.task.name!r} has nothing to sample")
    known = OPTIONS.keys() & inspect.signature(task.sample).parameters
    if unknown := options.keys() - known:
        raise ConfigError(
            f"--{min(unknown)} is no option of the task {config.task.name!r}, which takes"
            f" {', '.join(f'--{name}' for name in sorted({*known, 'seed'}))}"
        )
    state = command_line.trained(task, config, workdir)
    directory = workdir / "samples"
    directory.mkdir(exist_ok=True)
    task.sample(best_member(task, state), jax.random.PRNGKey(seed), directory, **options)


def best_member(task: Task, state: TrainState) -> Any:
    """The best parameters of the member whose validation metric is best."""
    metrics = np.asarray(state.best_metric)
    member = int(np.argmax(metrics) if task.higher_is_better else np.argmin(metrics))
    return jax.tree.map(lambda leaf: leaf[member], state.best_params)


def main(config: ConfigDict, workdir: Path) -> None:
    given = {name: flag.value for name, flag in OPTIONS.items() if flag.value is not None}
    sample(config, workdir, SEED.value, **given)


if __name__ == "__main__":
    command_line.run(main)
