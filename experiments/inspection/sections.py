"""What a trained run has to show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import jax
import numpy as np

from experiments.config import BIASES, accepted_options, make_cell, override, reads_frames
from experiments.inspection import reading_text
from experiments.inspection.loss_gradient import loss_gradient
from experiments.inspection.run import Run, flows, middle, whole
from experiments.inspection.section import Section, file_name
from lstm_jax import CELLS, analysis
from lstm_jax.analysis import Curves, Layer

LARGEST = 1024  # numbers of a state of which a spectrum is computed
POINTS, PAIR = 4, 2  # steps and sequences of it
PATH, WIDEST = 100, 4096  # steps of a trajectory, and units of a layer that has one
SCALES, GATE_BIASES = (0.1, 1.0, 2.0), (0.0, 1.0, 3.0)


def of_run(run: Run) -> Iterator[Section]:
    """The sections of a run, in the order of the page."""
    before = {f"{title}, before training": own for title, own in flows(run.untrained).items()}
    yield gradient_flow(flows(run.parts) | before)
    yield _loss_gradient(run)
    yield from _spectrum(run)
    for title, batches in run.parts.items():
        yield from _gates(title, batches)
    yield time_constants(
        {title: analysis.time_constants(*own) for title, own in run.parts.items()}
    )
    for title, batches in run.parts.items():
        yield from _trajectories(title, middle(batches))
    yield from reading_text.sections(run)
    yield from _initialization(run)
    if run.curves is not None:
        yield overfitting({run.config.cell.name: run.curves})


def gradient_flow(found: Mapping[str, jax.Array]) -> Section:
    """The gradients of layers, or of runs, over the lag."""
    said = []
    for title, flow in found.items():
        growth = analysis.growth(flow)
        said.append(
            f"{title}: each step back multiplies the gradient by {growth.factor:.3f},"
            f" {len(flow) - 1} steps by {growth.total:.2g}: {growth.verdict}."
        )
    return Section(
        "gradient_flow",
        "How far back does a gradient reach?",
        "The norm of the gradient at a layer's state of what the layer gives out so many steps"
        " later, seen along a random direction: the median over sequences of the validation split,"
        " and the quartiles. Where the line falls steeply the gradient vanishes, and what happened"
        " that long ago cannot be learnt from it. Where it stays level the gradient is held; where"
        " it rises it explodes. An LSTM loses some in the first step, behind its output gate.",
        analysis.plot_gradient_flow(found),
        said,
    )


def time_constants(constants: Mapping[str, jax.Array]) -> Section:
    """How long the units of layers, or of runs, remember."""
    said = []
    for title, values in constants.items():
        median, longest = np.median(values), np.max(values)
        said.append(
            f"{title}: half of the units remember for {_steps(median)} or less, the longest for"
            f" {_steps(longest)}."
            if longest > 0
            else f"{title}: no unit keeps anything by itself; all memory goes through the products."
        )
    return Section(
        "time_constants",
        "How long do units remember?",
        "The time constant of a unit is the number of steps in which its memory, left alone,"
        " shrinks to 1/e: −1 over the mean logarithm of what its gate keeps of it at each step."
        " The units of a layer are in the order of theirs.",
        analysis.plot_time_constants(constants),
        said,
    )


def overfitting(trainings: Mapping[str, Curves]) -> Section:
    """The learning curves of runs."""
    said = []
    for title, curves in trainings.items():
        found = analysis.overfitting(curves)
        said.append(
            f"{title}: the validation loss is smallest at step {curves.steps[found.best]:,} of"
            f" {curves.steps[-1]:,}; the gap to the training loss is {found.gap[found.best]:.3g}"
            f" there and {found.gap[-1]:.3g} at the end, when validation has lost {found.rise:.3g}."
        )
    return Section(
        "overfitting",
        "Does it over-fit?",
        "On the left the validation loss; on the right how far it lies above the training loss,"
        " the mean since the validation before. A gap that widens while the validation loss rises"
        " is over-fitting: what is still learnt holds for the training data alone. Dropout, where"
        " it is on, raises the training loss and not the validation loss.",
        analysis.plot_overfitting(trainings),
        said,
    )


def _loss_gradient(run: Run) -> Section:
    found = {
        f"{title}, {field}": norms
        for title, fields in loss_gradient(run.task, run.params, run.reading).items()
        for field, norms in fields.items()
        if field != "state"
    }
    return Section(
        "loss_gradient",
        "Where does the loss's gradient arrive?",
        "The norm of the gradient of this task's own loss, over one batch, at the states of each"
        " step. Where the loss is read at the end alone, the line shows what of it comes back.",
        analysis.plot_state_gradients(found),
        [],
    )


def _spectrum(run: Run) -> Iterator[Section]:
    """Eigenvalues where the state is small enough, of sequences without padding."""
    found, said = {}, []
    for title, batches in run.parts.items():
        layer = whole(middle(batches), PAIR)
        size = sum(leaf[0].size for leaf in jax.tree.leaves(layer.initial_state))
        if size > LARGEST:
            continue
        every = max(len(layer.xs) // POINTS, 1)
        found[title] = analysis.spectrum(analysis.jacobians(layer, every))
        largest = float(np.median(np.abs(found[title].eigenvalues).max(axis=-1)))
        exponent = float(np.median(analysis.lyapunov_exponents(layer, 1)))
        said.append(
            f"{title}: the largest eigenvalue of a step has the size {largest:.2f} (median); over"
            f" {len(layer.xs)} steps a change of the state is multiplied by"
            f" {np.exp(exponent):.3f} a step (Lyapunov exponent {exponent:.3f})."
        )
    if found:
        yield Section(
            "spectrum",
            "What does one step do to a change of the state?",
            "The eigenvalues and singular values of the Jacobian of a step, at a few steps of a few"
            " sequences. If all steps were alike, eigenvalues inside the circle would stand for"
            " what is forgotten, 1 for what is kept, those outside for what grows. Steps differ:"
            " what many of them make of a change, the Lyapunov exponent tells.",
            analysis.plot_spectrum(found),
            said,
        )


def _gates(title: str, batches: list[Layer]) -> Iterator[Section]:
    found = analysis.gate_statistics(*batches)
    if not found:
        return
    said = [
        f"{name}: {np.mean(own.mean):.2f} on the mean; {np.mean(own.right):.0%} of the time open,"
        f" {np.mean(own.left):.0%} shut."
        for name, own in found.items()
    ]
    yield Section(
        file_name("saturation", title),
        f"How far do gates open? ({title})",
        "Each point is a unit: how often its gate is above 0.9, and how often below 0.1, over the"
        " validation split. Units at the lower right are nearly always open (a forget gate there"
        " remembers), those at the upper left nearly always shut; those near the origin are a"
        " matter of degree.",
        analysis.plot_saturation(found),
        said,
    )
    yield Section(
        file_name("gates", title),
        f"What do gates do over time? ({title})",
        "The mean of each gate over units and sequences at each step.",
        analysis.plot_gates_over_time(found),
        [],
    )


def _trajectories(title: str, layer: Layer) -> Iterator[Section]:
    size = layer.record["h"][0, 0].size
    if size > WIDEST:
        return
    found = analysis.trajectories(whole(layer), components=min(2, size))
    yield Section(
        file_name("trajectories", title),
        f"Where does the state go? ({title})",
        "The path of h in the plane in which it moves most (its principal components), for some"
        f" sequences: a circle where each starts, or {PATH} steps before its end, and a square at"
        " its end. Paths that come to rest apart from each other keep what they have read.",
        analysis.plot_trajectories(found._replace(points=found.points[-PATH:])),
        [],
    )


def _initialization(run: Run) -> Iterator[Section]:
    """What other initial weights and gate biases would have done, on what the first layer reads."""
    if reads_frames(run.config):
        return
    layer = whole(next(iter(run.parts.values()))[0])
    options = accepted_options(CELLS[run.config.cell.name])
    bias = next((name for name in BIASES if name in options), None)
    biases = GATE_BIASES if bias else (0.0,)

    def make(value: float):
        changes = {"cell": {bias: value, "chrono": 0}} if bias else {}
        return make_cell(override(run.config, "the initialization", changes))

    found = analysis.initialization_flow(make, layer.xs, SCALES, biases)
    yield Section(
        "initialization",
        "What would other initial weights have done?",
        "As the first picture, before any training, on what the first layer reads here: all"
        " matrices and peepholes of a fresh cell times 0.1 (small-weight initialization), 1 and 2"
        + (f", with a {bias.replace('_', ' ')} of 0, 1 and 3." if bias else "."),
        analysis.plot_initialization(found, SCALES, biases),
        [],
    )


def _steps(value: float) -> str:
    return "ever" if np.isinf(value) else f"{value:.3g} steps"
