"""What each field of a configuration must hold, in words and as a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

DTYPES = ("bfloat16", "float16", "float32")


class Rule(NamedTuple):
    """What a field must hold, in words and as a test."""

    wanted: str
    holds: Callable[[Any], bool]


def integer(least: int, most: int = 2 * 10**9) -> Rule:
    """Integers up to `most`, by default all that 32 bits can hold."""
    return Rule(f"an integer in [{least}, {most}]", lambda v: _is(v, int) and least <= v <= most)


def number(wanted: str, holds: Callable[[float], bool]) -> Rule:
    """Numbers that are finite in single precision too."""
    return Rule(wanted, lambda v: _is(v, int | float) and -1e38 < v < 1e38 and holds(v))


def either(value: Any, rule: Rule) -> Rule:
    """`value`, or what `rule` wants."""
    same = (type(value), value)
    return Rule(f"{value} or {rule.wanted}", lambda v: (type(v), v) == same or rule.holds(v))


def several(rule: Rule, plural: str) -> Rule:
    """A tuple of what `rule` wants."""
    return Rule(f"a tuple of {plural}", lambda v: isinstance(v, tuple) and all(map(rule.holds, v)))


def between(rule: Rule) -> Rule:
    """The two ends of a range."""
    return Rule(
        f"the least and the most, each {rule.wanted}",
        lambda v: several(rule, "").holds(v) and len(v) == 2 and v[0] <= v[1],
    )


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind of number, which True and False are not."""
    return isinstance(value, kind) and not isinstance(value, bool)


TEXT = Rule("printable text", lambda v: isinstance(v, str) and v.isprintable())
SWITCH = Rule("True or False", lambda v: isinstance(v, bool))
SIZE = integer(1, 10**6)
NUMBER = number("a finite number", lambda v: True)
POSITIVE = number("a positive number", lambda v: v > 0)
AT_LEAST_ZERO = number("a number of at least 0", lambda v: v >= 0)
RATE = number("a number in [0, 1)", lambda v: 0 <= v < 1)
_MEMBER = (integer(0, 2**31 - 1), POSITIVE, RATE, AT_LEAST_ZERO)
MEMBER = Rule(
    "a seed, a learning rate, a momentum and a noise",
    lambda v: isinstance(v, tuple)
    and len(v) == 4
    and all(rule.holds(x) for rule, x in zip(_MEMBER, v, strict=True)),
)
FIELDS = {  # those that every configuration has
    "mode": TEXT,
    "seed": integer(0),
    "seeds": SIZE,
    "members": several(MEMBER, "a seed, a learning rate, a momentum and a noise each"),
    "data_dir": either(None, TEXT),
    "task.name": TEXT,
    "cell.name": TEXT,
    "cell.hidden_size": SIZE,
    "cell.layers": integer(1, 1000),
    "cell.use_bias": either(None, SWITCH),
    "cell.forget_bias": either(None, NUMBER),
    "cell.update_bias": either(None, NUMBER),
    "cell.input_bias": either(None, NUMBER),
    "cell.activations": either(None, TEXT),
    "cell.chrono": either(0, integer(3)),
    "cell.peepholes": either(None, TEXT),
    "cell.kernel_init": either(None, TEXT),
    "cell.recurrent_init": either(None, TEXT),
    "cell.heads": either(None, SIZE),
    "cell.cell_clip": either(None, POSITIVE),
    "cell.projection_size": either(None, SIZE),
    "cell.image_size": either(None, several(SIZE, "sizes")),
    "cell.kernel_size": either(None, SIZE),
    "cell.dtype": either(None, Rule(f"one of {', '.join(DTYPES)}", lambda v: v in DTYPES)),
    "model.dropout": RATE,
    "model.residual": SWITCH,
    "model.zoneout": RATE,
    "model.drop_connect": RATE,
    "model.variational_inputs": RATE,
    "model.variational_recurrent": RATE,
    "optimizer.name": TEXT,
    "optimizer.learning_rate": POSITIVE,
    "optimizer.learning_rates": several(POSITIVE, "positive numbers"),
    "optimizer.schedule": TEXT,
    "optimizer.warmup_steps": integer(0),
    "optimizer.final_fraction": number("a number in [0, 1]", lambda v: 0 <= v <= 1),
    "optimizer.clip_norm": AT_LEAST_ZERO,
    "optimizer.weight_decay": AT_LEAST_ZERO,
    "optimizer.momentum": either(None, RATE),
    "train.steps": integer(0),
    "train.batch_size": SIZE,
    "train.eval_every": integer(1),
    "train.patience": integer(0),
    "train.stop_at": either(None, NUMBER),
    "train.log_every": integer(1),
    "train.checkpoint_every": integer(1),
    "train.bad_steps": integer(1),
    "train.spike": AT_LEAST_ZERO,
    "cells": several(TEXT, "names"),
    "study.trials": integer(1, 10**6),
    "study.hidden_size": between(SIZE),
    "study.sizes": integer(1, 1000),
    "study.learning_rate": between(POSITIVE),
    "study.momentum": between(RATE),
    "study.input_noise": between(AT_LEAST_ZERO),
    "study.population": SIZE,
    "study.best": SIZE,
    "compare.match": TEXT,
    "compare.experiments": several(TEXT, "names"),
    "mesh.data": either(-1, integer(1, 10**4)),
    "mesh.model": integer(1, 10**4),
    "debug.replay": either(None, TEXT),
}
WRITER_FIELDS = {  # those of the tasks that write a text about an input
    "task.embedding": SIZE,
    "task.attention": TEXT,
    "task.smoothing": RATE,
    "task.buckets": integer(1, 100),
    "task.beams": integer(1, 1000),
    "task.alpha": AT_LEAST_ZERO,
    "task.longest": integer(2, 10**4),
}
LANGUAGE_MODEL = {
    "task.text": TEXT,
    "task.path": either(None, TEXT),
    "task.level": TEXT,
    "task.vocabulary_size": SIZE,
    "task.steps": SIZE,
    "task.restart": integer(0),
    "task.embedding": either(0, SIZE),
    "task.tied": SWITCH,
    "task.ar": AT_LEAST_ZERO,
    "task.tar": AT_LEAST_ZERO,
}
CLASSIFIER_FIELDS = {  # those of the tasks that tell a sequence's class
    "task.bidirectional": SWITCH,
    "task.pooling": TEXT,
}
LONG_LAG = {  # those of the tasks whose sequences are drawn on the device
    "task.length": SIZE,
    "task.lags": several(SIZE, "sizes"),
}
TURNS = {**LONG_LAG, "task.shorter": several(SIZE, "sizes")}  # and in turn at several lags
TASK_FIELDS = {  # those of each task, which may have closer bounds of its own
    "adding": LONG_LAG,
    "adding_bai2018": TURNS,
    "captioning": {
        "task.data": TEXT,
        "task.path": either(None, TEXT),
        "task.pictures": SIZE,
        "task.vocabulary_size": SIZE,
        "task.features": SIZE,
        **WRITER_FIELDS,
    },
    "char_lm": LANGUAGE_MODEL,
    "classification": {
        "task.data": TEXT,
        "task.path": either(None, TEXT),
        "task.noise": AT_LEAST_ZERO,
        "task.drop": RATE,
        "task.buckets": integer(1, 100),
        **CLASSIFIER_FIELDS,
    },
    "cloze": {
        "task.text": TEXT,
        "task.path": either(None, TEXT),
        "task.lines": SIZE,
        "task.vocabulary_size": SIZE,
        "task.embedding": SIZE,
        "task.bidirectional": SWITCH,
        "task.hide": RATE,
        "task.buckets": integer(1, 100),
        "task.beams": integer(1, 1000),
    },
    "forecasting": {
        "task.data": TEXT,
        "task.path": either(None, TEXT),
        "task.columns": several(TEXT, "names"),
        "task.longest_gap": integer(0, 10**4),
        "task.window": integer(1, 10**5),
        "task.segment": SIZE,
        "task.horizon": integer(1, 10**5),
        "task.period": either(0, SIZE),
        "task.quantiles": several(
            number("a number between 0 and 1", lambda v: 0 < v < 1), "numbers between 0 and 1"
        ),
        "task.independent": SWITCH,
        "task.normalisation": TEXT,
    },
    "copy_memory": TURNS,
    "handwriting": {
        "task.goal": TEXT,
        "task.data": TEXT,
        "task.drawings": integer(2, 10**6),
        "task.lines": integer(2, 10**6),
        "task.distortion": AT_LEAST_ZERO,
        "task.buckets": integer(1, 100),
        "task.beams": integer(1, 1000),
        "task.components": integer(1, 1000),
        **CLASSIFIER_FIELDS,
    },
    "multiplication": {"task.wrong": integer(0, 1999), **LONG_LAG},
    "music": {
        "task.data": TEXT,
        "task.path": either(None, TEXT),
        "task.grid": integer(1, 96),
        "task.transpose": integer(0, 87),
        "task.buckets": integer(1, 100),
    },
    "noise_free_lag": {"task.variant": TEXT, "task.distractors": integer(0, 10**6), **LONG_LAG},
    "pixels": {"task.data": TEXT, "task.order": TEXT, **CLASSIFIER_FIELDS},
    "reber": LONG_LAG,
    "speech": {
        "task.goal": TEXT,
        "task.data": TEXT,
        "task.path": either(None, TEXT),
        "task.speaker": either(None, TEXT),
        "task.takes": integer(11, 1000),
        "task.sequences": SIZE,
        "task.rate": integer(8000, 48_000),
        "task.bands": integer(4, 80),
        "task.buckets": integer(1, 100),
        "task.beams": integer(1, 1000),
        **CLASSIFIER_FIELDS,
    },
    "summarise": {
        "task.path": either(None, TEXT),
        "task.level": TEXT,
        "task.vocabulary_size": SIZE,
        "task.bidirectional": SWITCH,
        "task.pointer": SWITCH,
        "task.longest_source": SIZE,
        **WRITER_FIELDS,
    },
    "temporal_order": {"task.relevant": integer(2, 3), **LONG_LAG},
    "translation": {
        "task.source": TEXT,
        "task.target": TEXT,
        "task.path": either(None, TEXT),
        "task.level": TEXT,
        "task.vocabulary_size": SIZE,
        "task.bidirectional": SWITCH,
        **WRITER_FIELDS,
    },
    "two_sequence": {"task.variant": TEXT, "task.informative": SIZE, **LONG_LAG},
    "video": {
        "task.data": TEXT,
        "task.size": integer(8, 1024),
        "task.patch": SIZE,
        "task.context": integer(1, 10**4),
        "task.ahead": integer(1, 10**4),
        "task.free_running": number("a number in [0, 1]", lambda v: 0 <= v <= 1),
        "task.widening": SIZE,
    },
    "word_lm": LANGUAGE_MODEL,
}
