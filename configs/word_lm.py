"""Word-level language modelling of Multi30k's English captions, or of any text.

    python -m experiments.train --config=configs/word_lm.py --workdir=runs/captions
    python -m experiments.sample --workdir=runs/captions --prompt="a man" --unit=sentence

An LSTM whose output kernel is its embedding of 10,000 words, with variational dropout. Perplexity
29.4 on the test sentences (one seed), where counting words has 224.4 and a Kneser-Ney 4-gram 34.0,
after 714 seconds on two processor cores with other work on them; with --config.train.steps=2000 and
--config.train.eval_every=400 it is 27.8. Full mode is unmeasured. For any other UTF-8 text:
--config.task.path=FILE.
"""

from ml_collections import ConfigDict

from configs import char_lm


def get_config() -> ConfigDict:
    config = char_lm.get_config()
    config.task.update(
        name="word_lm",
        text="multi30k",
        level="word",
        vocabulary_size=10_000,
        steps=35,
        restart=0,
        embedding=256,
        tied=True,
    )
    config.cell.hidden_size = 256
    config.model.update(dropout=0.3, variational_inputs=0.1, variational_recurrent=0.2)
    config.optimizer.update(learning_rate=2e-3, schedule="cosine", warmup_steps=100)
    config.train.update(steps=1500, batch_size=32, eval_every=300, log_every=25)
    config.modes.tiny.task = {"steps": 8, "embedding": 6, "vocabulary_size": 100}
    config.modes.full = {
        "task": {"embedding": 400, "ar": 1.0, "tar": 1.0},
        "cell": {"layers": 2, "hidden_size": 650},
        "model": {"dropout": 0.5, "drop_connect": 0.3},
        "train": {"steps": 12000},
    }
    return config
