"""The tasks by name; each entry builds an `experiments.task.Task` from a config."""

from collections.abc import Callable

from ml_collections import ConfigDict

from experiments.task import Task
from experiments.tasks.adding import adding
from experiments.tasks.captioning import captioning
from experiments.tasks.classification import classification
from experiments.tasks.cloze import cloze
from experiments.tasks.forecasting import forecasting
from experiments.tasks.handwriting import handwriting
from experiments.tasks.language_model import language_model
from experiments.tasks.music import music
from experiments.tasks.pixels import pixels
from experiments.tasks.speech import speech
from experiments.tasks.summarise import summarise
from experiments.tasks.temporal_order import temporal_order
from experiments.tasks.translation import translation
from experiments.tasks.video import video

TASKS: dict[str, Callable[[ConfigDict], Task]] = {
    "adding": adding,
    "captioning": captioning,
    "char_lm": language_model,
    "classification": classification,
    "cloze": cloze,
    "forecasting": forecasting,
    "handwriting": handwriting,
    "music": music,
    "pixels": pixels,
    "speech": speech,
    "summarise": summarise,
    "temporal_order": temporal_order,
    "translation": translation,
    "video": video,
    "word_lm": language_model,
}
