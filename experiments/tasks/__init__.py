"""The tasks by name; each entry builds an `experiments.task.Task` from a config."""

from collections.abc import Callable

from ml_collections import ConfigDict

from experiments.task import Task
from experiments.tasks.adding import adding
from experiments.tasks.char_lm import char_lm
from experiments.tasks.music import music
from experiments.tasks.temporal_order import temporal_order

TASKS: dict[str, Callable[[ConfigDict], Task]] = {
    "adding": adding,
    "char_lm": char_lm,
    "music": music,
    "temporal_order": temporal_order,
}
