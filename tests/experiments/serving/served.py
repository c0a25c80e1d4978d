"""Models with random parameters, as tasks train them and as they serve."""

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.language.running_text import LanguageModel
from experiments.music.model import MusicModel
from experiments.perception.readout import Readout

STEPS, ROWS = 7, 3
LENGTHS = np.array([7, 2, 5], np.int32)
SYMBOLS, NOTES, FEATURES = 6, 5, 4


def both():
    return lj.bidirectional(lj.lstm(3), lj.lstm(3))


def deep():
    return lj.stack(lj.gru(4), lj.peephole_lstm(3), dropout=0.3)


MODELS = {
    "one-hot": lambda: LanguageModel(lj.lstm(4), SYMBOLS),
    "embedded": lambda: LanguageModel(deep(), SYMBOLS, embedding=4),
    "tied": lambda: LanguageModel(lj.lstm(4), SYMBOLS, embedding=4, tied=True),
    "tied and projected": lambda: LanguageModel(lj.gru(5), SYMBOLS, embedding=4, tied=True),
    "music": lambda: MusicModel(lj.coupled_lstm(4), tuple(np.linspace(-2, 1, NOTES))),
    "steps": lambda: Readout(both(), 3, "steps"),
    "last": lambda: Readout(deep(), 3, "last", mean=0.3, deviation=2.0),
    "last of both": lambda: Readout(both(), 3, "last", bidirectional=True),
    "mean": lambda: Readout(lj.layer_norm_lstm(4), 3, "mean"),
}


def inputs(model, seed=0):
    rng = np.random.default_rng(seed)
    if isinstance(model, LanguageModel):
        return rng.integers(0, SYMBOLS, (STEPS, ROWS)).astype(np.int32)
    width = NOTES if isinstance(model, MusicModel) else FEATURES
    return rng.standard_normal((STEPS, ROWS, width)).astype(np.float32)


def variables(model, seed=1):
    """Random numbers in every parameter."""
    rng, given = np.random.default_rng(seed), inputs(model)
    state = model.network.initial_state(ROWS)
    more = (LENGTHS,) if isinstance(model, Readout) else (state,)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), given, *more))
    return jax.tree.map(lambda v: jnp.asarray(0.5 * rng.standard_normal(v.shape), v.dtype), shapes)


def apply(model, params, given, lengths):
    """The state where the model has one, and the outputs, as the task computes them."""
    if isinstance(model, Readout):
        return None, model.apply(params, given, lengths)
    state = model.network.initial_state(given.shape[1])
    more = {"lengths": lengths} if isinstance(model, MusicModel) else {}
    return model.apply(params, given, state, **more)


def served(name):
    model = MODELS[name]()
    return model.served(variables(model))
