r"""Handwriting: digits alone, digits in lines, and writing itself.

    python -m experiments.train --config=configs/handwriting.py:digits \
        --config.task.data=pendigits --workdir=runs/digits
    python -m experiments.sample --workdir=runs/digits --prompt=STROKES.txt

Without --config.task.data, digits are generated. Everything below is of one seed, on
two processor cores of an AMD EPYC that a dozen other programs shared, which took most of the time.
Baselines learn from training and validation together.

digits, of eight points each: 99.20 % of pendigits' 3,498 test digits, whose 14 writers training
does not know; 3 nearest neighbours have 97.80 %. 4,000 steps, 417 seconds. Validation knows its
writers (99.87 %): the recipe was not searched for.

connected, 2 to 7 of these digits in a line that the pen does not leave: a label error rate of
4.30 % by prefix beam search and 4.69 % by the best path. 3 nearest neighbours have 56.4 % if they
cut where a gap is seen, and 2.51 % if they are told where each digit is. 1,500 steps, 856 seconds,
282 of them compiling.

synthesis, with --config.task.data=omniglot: a negative log-likelihood of -0.175 nats a point on
drawers 19 and 20 of each alphabet, of characters that training knows by drawers 1 to 16 (-0.539 on
drawers 17 and 18, in validation). One Gaussian has 3.214, a mixture of 20 without a network 1.245,
a Gaussian around a linear forecast from two offsets 2.947. Each alphabet numbers its own drawers,
so that some may be in several splits. 2,000 steps, 1,009 seconds, 307 of them compiling.
--config.task.components=1 gives the network one Gaussian; --bias=1 of `sample` makes neater
strokes. Full mode trains five seeds.
"""

from ml_collections import ConfigDict

from configs import default

GOALS = {
    "digits": {
        "task": {"distortion": 0.1, "buckets": 1},
        "cell": {"hidden_size": 96, "layers": 2},
        "model": {"dropout": 0.2},
        "train": {"steps": 4000, "batch_size": 64, "eval_every": 200, "log_every": 50},
    },
    "connected": {
        "task": {"distortion": 0.05, "buckets": 4},
        "cell": {"hidden_size": 128},
        "model": {"dropout": 0.2},
        "train": {"steps": 1500, "batch_size": 32, "eval_every": 250, "log_every": 25},
    },
    "synthesis": {
        "task": {"distortion": 0.05, "buckets": 2},
        "cell": {"hidden_size": 256},
        "model": {"dropout": 0.2},
        "train": {"steps": 2000, "batch_size": 32, "eval_every": 250, "log_every": 25},
    },
}


def get_config(goal: str = "digits") -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "handwriting",
            "goal": goal,  # digits, connected or synthesis
            "data": "generated",  # or "pendigits"; for synthesis "omniglot"
            "drawings": 6000,  # generated ones to learn from
            "lines": 10_000,  # to learn from, where digits are joined
            "distortion": 0.1,  # of what is learnt from; see `experiments.perception.digits`
            "bidirectional": True,  # not for synthesis
            "pooling": "mean",  # of the outputs that tell a digit, or "last"
            "buckets": 1,  # by length
            "beams": 8,  # of the search for the digits in a line
            "components": 20,  # of the mixture in synthesis
        }
    )
    config.optimizer.update(learning_rate=3e-3, schedule="cosine", warmup_steps=100)
    config.update(GOALS.get(goal, {}))
    config.modes.tiny = {
        "task": {"drawings": 40, "lines": 16, "beams": 2, "components": 2, "buckets": 1},
        "cell": {"hidden_size": 8, "layers": 1},
        "optimizer": {"warmup_steps": 2},
        "train": {"steps": 4, "batch_size": 8, "eval_every": 2, "log_every": 2},
    }
    config.modes.full = {"seeds": 5}
    return config
