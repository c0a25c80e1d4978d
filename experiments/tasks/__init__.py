"""The tasks by name; each entry builds an `experiments.task.Task` from a config."""

from collections.abc import Callable

from ml_collections import ConfigDict

from experiments.task import Task
from experiments.tasks.adding import adding
from experiments.tasks.adding_bai2018 import adding_bai2018
from experiments.tasks.captioning import captioning
from experiments.tasks.classification import classification
from experiments.tasks.cloze import cloze
from experiments.tasks.copy_memory import copy_memory
from experiments.tasks.forecasting import forecasting
from experiments.tasks.handwriting import handwriting
from experiments.tasks.language_model import language_model
from experiments.tasks.multiplication import multiplication
from experiments.tasks.music import music
from experiments.tasks.noise_free_lag import noise_free_lag
from experiments.tasks.pixels import pixels
from experiments.tasks.reber import reber
from experiments.tasks.speech import speech
from experiments.tasks.summarise import summarise
from experiments.tasks.temporal_order import temporal_order
from experiments.tasks.translation import translation
from experiments.tasks.two_sequence import two_sequence
from experiments.tasks.video import video

TASKS: dict[str, Callable[[ConfigDict], Task]] = {
    "adding": adding,
    "adding_bai2018": adding_bai2018,
    "captioning": captioning,
    "char_lm": language_model,
    "classification": classification,
    "cloze": cloze,
    "copy_memory": copy_memory,
    "forecasting": forecasting,
    "handwriting": handwriting,
    "multiplication": multiplication,
    "music": music,
    "noise_free_lag": noise_free_lag,
    "pixels": pixels,
    "reber": reber,
    "speech": speech,
    "summarise": summarise,
    "temporal_order": temporal_order,
    "translation": translation,
    "two_sequence": two_sequence,
    "video": video,
    "word_lm": language_model,
}
