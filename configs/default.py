"""The settings that every experiment shares, with their defaults.

A config file starts from `get_config()` and changes what differs. Precedence, lowest first: this
file, the config file, the overrides of the chosen mode (`config.modes`), `--config.a.b=c`.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """Returns the default configuration (a field that is None keeps the library's own default)."""
    return ConfigDict(
        {
            "mode": "quick",  # tiny: seconds, for tests; quick: what the docs quote; full: best
            "modes": {"tiny": {}, "quick": {}, "full": {}},  # nested overrides for each mode
            "seed": 0,  # seed of the first member
            "seeds": 1,  # how many seeds train at once: seed, seed + 1, ...
            "members": (),  # seed, learning rate, momentum, input noise of each: a study sets them
            "data_dir": placeholder(str),  # None: $LSTM_JAX_DATA, then the user's cache
            "task": {"name": "temporal_order"},  # a name of experiments.tasks.TASKS and its fields
            "cell": _cell(),
            "model": _model(),
            "optimizer": _optimizer(),
            "train": _train(),
            "cells": (),  # what `compare` trains: names of cells, or of `variants`
            "variants": {},  # overrides by name: cells with settings of their own
            "experiments": {},  # overrides by name: several comparisons with one command
            "compare": _compare(),
            "study": _study(),
            "mesh": _mesh(),
            "debug": {"replay": placeholder(str)},  # a bad_step_N: compute that step once more
        }
    )


def _cell() -> dict:
    return {
        "name": "lstm",  # a name of lstm_jax.CELLS
        "hidden_size": 128,
        "layers": 1,
        "use_bias": placeholder(bool),
        "forget_bias": placeholder(float),  # for cells with a forget gate of their own
        "update_bias": placeholder(float),  # for GRUs and min cells
        "input_bias": placeholder(float),  # no_forget_lstm only
        "activations": placeholder(str),  # no_forget_lstm only: "tanh" or "1997"
        "chrono": 0,  # T_max: forget_bias or update_bias is lj.chrono(T_max); 0: off
        "peepholes": placeholder(str),  # "none", "diagonal" or "full"
        "kernel_init": placeholder(str),  # "glorot"
        "recurrent_init": placeholder(str),  # "orthogonal" or "small_normal"
        "heads": placeholder(int),  # groups of units that do not see each other's h
        "cell_clip": placeholder(float),  # bound on |c|
        "projection_size": placeholder(int),  # lstmp only
        "image_size": placeholder(tuple),  # conv_lstm only: height and width of what it reads
        "kernel_size": placeholder(int),  # conv_lstm only: the side of its windows
        "dtype": placeholder(str),  # compute type: "float32" or "bfloat16"
    }


def _model() -> dict:
    return {
        "dropout": 0.0,  # between layers and before the output
        "residual": False,  # add each layer's input to its output
        "zoneout": 0.0,
        "drop_connect": 0.0,  # on the recurrent kernel
        "variational_inputs": 0.0,  # one mask for all steps, on each layer's inputs
        "variational_recurrent": 0.0,  # one mask for all steps, on the recurrent state
    }


def _optimizer() -> dict:
    return {
        "name": "adam",  # adam, adamw, nesterov, sgd or rmsprop
        "learning_rate": 1e-3,
        "learning_rates": (),  # several to train at once; overrides learning_rate
        "schedule": "constant",  # constant, cosine or linear, after the warm-up
        "warmup_steps": 0,
        "final_fraction": 0.0,  # of the learning rate, where cosine and linear end
        "clip_norm": 1.0,  # bound on the gradient's global norm; 0: none
        "weight_decay": 0.0,  # adamw only
        "momentum": placeholder(float),  # None: 0.9 for adam, adamw (β₁) and nesterov, else none
    }


def _train() -> dict:
    return {
        "steps": 1000,
        "batch_size": 32,
        "eval_every": 100,  # steps between evaluations on the validation split
        "patience": 0,  # stop after so many evaluations without improvement; 0: never
        "stop_at": placeholder(float),  # stop when the validation metric is as good as this
        "log_every": 20,  # also how often signals are heeded
        "checkpoint_every": 500,
        "bad_steps": 10,  # stop after so many skipped steps in a row
        "spike": 0.0,  # skip a loss so many standard deviations above the latest 128; 0: never
    }


def _compare() -> dict:
    return {
        "match": "hidden",  # equal "hidden" sizes or equal "parameters" in number
        "experiments": (),  # the names of `experiments` to be made, in order; (): all by name
    }


def _study() -> dict:
    """What `experiments.study` draws for each trial; a range of (x, x) is x."""
    return {
        "trials": 24,  # of each of `cells`
        "hidden_size": (20, 200),  # log-uniform
        "sizes": 6,  # of the range that are drawn: trials of one size train in one program
        "learning_rate": (1e-4, 1e-1),  # log-uniform
        "momentum": (0.0, 0.99),  # 1 - momentum is log-uniform
        "input_noise": (0.0, 1.0),  # uniform
        "population": 32,  # trials that train at once, at most
        "best": 8,  # of each cell's trials, by validation: what is compared
    }


def _mesh() -> dict:
    """Over how many devices a run is spread; another number goes on with the same run."""
    return {
        "data": 1,  # devices that share each batch; -1: all that there are
        "model": 1,  # devices that share the columns of recurrent kernels and of the output layer
    }
