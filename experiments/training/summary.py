"""What a run came to: the content of results.json."""

from __future__ import annotations

import math
from typing import Any

import jax
from ml_collections import ConfigDict

from experiments.config import learning_rates, members, to_json
from experiments.task import Task
from experiments.training import results
from experiments.training.step import TrainState


def summarize(
    task: Task,
    config: ConfigDict,
    state: TrainState,
    seconds: dict[str, float],
    test: list[dict[str, float]],
) -> dict[str, Any]:
    """All that `results.json` holds; over several learning rates, the best by validation."""
    everyone = _members(task, config, state, test)
    steps = int(jax.device_get(state.step)[0])
    rate = _best_rate(task, config, everyone)
    chosen = [member for member in everyone if member["learning_rate"] == rate]
    training = seconds["step"] + seconds["data"]
    means = {
        name: results.mean_and_deviation([member["test"][name] for member in chosen])
        for name in chosen[0]["test"]
    }
    baselines = task.baselines() if task.baselines else {}
    return {
        "task": config.task.name,
        "cell": config.cell.name,
        "metric": task.metric,
        "higher_is_better": task.higher_is_better,
        "headline": task.headline or task.metric,
        "test": means,
        "baselines": baselines,
        **_verdict(task, means, baselines),
        "learning_rate": rate,
        "members": everyone,
        "parameters": results.parameter_count(state.params) // len(everyone),
        "steps": steps,
        "steps_per_second": steps / training if training else None,
        "seconds": seconds,
        "seeds": [member.seed for member in members(config)][: config.seeds],
        "facts": task.facts,
        "config": to_json(config),
        **results.environment(),
    }


def _verdict(
    task: Task, test: dict[str, dict[str, float]], baselines: dict[str, dict[str, float]]
) -> dict[str, str]:
    """What the task says about the means of the test metrics; nothing if it says nothing."""
    if task.verdict is None:
        return {}
    return {"verdict": task.verdict({k: v["mean"] for k, v in test.items()}, baselines)}


def _members(
    task: Task, config: ConfigDict, state: TrainState, test: list[dict[str, float]]
) -> list[dict[str, Any]]:
    best, skips = jax.device_get((state.best_metric, state.opt_state.total_notfinite))
    solved = jax.vmap(task.solved_at)(jax.device_get(state.carry)) if task.solved_at else None
    found = []
    for i, own in enumerate(members(config)):
        metric = float(best[i]) if math.isfinite(best[i]) else None
        member = {
            "seed": own.seed,
            "learning_rate": own.learning_rate,
            "validation": metric,
            "test": test[i],
        }
        member["skipped_steps"] = int(skips[i])
        if solved is not None:
            member["solved_at"] = int(solved[i]) or None
        found.append(member)
    return found


def _best_rate(task: Task, config: ConfigDict, everyone: list[dict[str, Any]]) -> float:
    sign = 1.0 if task.higher_is_better else -1.0

    def merit(rate: float) -> float:
        of_rate = [m["validation"] for m in everyone if m["learning_rate"] == rate]
        return -math.inf if None in of_rate else sign * sum(of_rate)

    return max(learning_rates(config), key=merit)
