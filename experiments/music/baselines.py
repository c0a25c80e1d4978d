"""What is reached without a memory."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.music.rolls import Pieces

RARE = 1e-6  # no rate is nearer to 0 or 1
PENALTY = 1.0  # on half the sum of the squared weights, beside the nats of all frames
ITERATIONS = 100  # of L-BFGS


def baselines(pieces: dict[str, Pieces]) -> dict[str, dict[str, float]]:
    """The NLL on the test split of what learns from training and validation, see `Task`."""
    learnt, tested = pieces["train"] + pieces["valid"], pieces["test"]
    predictors: dict[str, Callable[[Pieces], Callable[[np.ndarray], np.ndarray]]] = {
        "each note's rate": marginal_rates,
        "logistic regression of each note on the frame before": logistic_regression,
    }
    return {name: {"nll": nll(learn(learnt), tested)} for name, learn in predictors.items()}


def nll(predict: Callable[[np.ndarray], np.ndarray], pieces: Pieces) -> float:
    """The negative log-likelihood in nats of a frame after the first, see `model.loss`.

    Args:
        predict: from frames [F, N] to the probabilities [F, N] that notes sound in the next ones.
        pieces: piano rolls [T, N].
    """
    before, after = transitions(pieces)
    rates = np.clip(np.asarray(predict(before), np.float64), RARE, 1 - RARE)
    return float(-np.where(after, np.log(rates), np.log1p(-rates)).sum(axis=1).mean())


def transitions(pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """All frames but the last of each piece [F, N], and those that follow them [F, N]."""
    before, after = ([p[:-1] for p in pieces], [p[1:] for p in pieces])
    return np.concatenate(before), np.concatenate(after)


def marginal_rates(pieces: Pieces) -> Callable[[np.ndarray], np.ndarray]:
    """Each note at its rate in all frames of some pieces, whatever came before."""
    rates = np.concatenate(pieces).mean(axis=0)
    return lambda before: np.broadcast_to(rates, before.shape)


def log_odds(pieces: Pieces) -> tuple[float, ...]:
    """ln(p / (1 − p)) of each note's rate p, as if it had sounded in one half of a frame more."""
    frames = np.concatenate(pieces)
    rates = (frames.sum(axis=0) + 0.5) / (len(frames) + 1)
    return tuple(float(odds) for odds in np.log(rates / (1 - rates)))


def logistic_regression(pieces: Pieces) -> Callable[[np.ndarray], np.ndarray]:
    """Each note y by the frame x before it: p(y = 1) = σ(xw + b), fitted by L-BFGS.

    The weights w [N] and b of a note minimize their NLL plus PENALTY / 2 (|w|² + b²).
    """
    before, after = (jnp.asarray(frames, jnp.float32) for frames in transitions(pieces))
    inputs = jnp.pad(before, ((0, 0), (0, 1)), constant_values=1.0)

    def objective(weights: jax.Array) -> jax.Array:
        nats = optax.sigmoid_binary_cross_entropy(inputs @ weights, after).sum()
        return (nats + PENALTY / 2 * (weights**2).sum()) / len(inputs)

    weights = np.asarray(minimize(objective, jnp.zeros((inputs.shape[1], after.shape[1]))))
    return lambda frames: np.asarray(jax.nn.sigmoid(frames @ weights[:-1] + weights[-1]))


def minimize(objective: Callable[[jax.Array], jax.Array], start: jax.Array) -> jax.Array:
    """Where a convex function is least, after ITERATIONS of L-BFGS."""
    solver = optax.lbfgs()
    evaluate = optax.value_and_grad_from_state(objective)

    def step(_: int, carry: tuple) -> tuple:
        point, state = carry
        value, gradient = evaluate(point, state=state)
        updates, state = solver.update(
            gradient, state, point, value=value, grad=gradient, value_fn=objective
        )
        return optax.apply_updates(point, updates), state

    return jax.jit(lambda x: jax.lax.fori_loop(0, ITERATIONS, step, (x, solver.init(x)))[0])(start)
