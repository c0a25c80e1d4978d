"""Units that read: activations over a text, and what they keep track of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from chex import Array

from lstm_jax.analysis import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OPENING, CLOSING = "([{", ")]}"
LINE = 72  # characters of a line in `plot_text`
SHOWN = {"\n": "↵", "\t": "→", " ": "·"}


class Tracker(NamedTuple):
    """A unit that keeps track of something.

    Attributes:
      feature: of `text_features`.
      unit: its number, chosen on the first half of the text.
      correlation: with the feature, on the second half.
    """

    feature: str
    unit: int
    correlation: float


def text_features(text: str) -> dict[str, np.ndarray]:
    """What a unit might keep track of, after each character.

    Args:
      text: the characters that the network reads, in order.

    Returns:
      By name, numbers [N]: "inside quotes" (double ones, until the line's end at the latest),
      "bracket depth" (of brackets outside quotes), "position in line", "position in word",
      "indentation" (of the line), and "capital" (whether the character is one). Those that do not
      change over the text are left out.

    Example:
      analysis.text_features('a "b" c')["inside quotes"]    # [0, 0, 1, 1, 0, 0, 0]

    Source: after Karpathy et al. 2015, arXiv:1506.02078, section 4.2, figure 2.
    """
    found = np.array([*_walk(text)], float).reshape(-1, 6).T
    names = ("inside quotes", "bracket depth", "position in line", "position in word")
    named = dict(zip((*names, "indentation", "capital"), found, strict=True))
    return {name: values for name, values in named.items() if len(text) and np.ptp(values) > 0}


def _walk(text: str):
    quoted, depth, column, word, indent, leading = False, 0, 0, 0, 0, True
    for character in text:
        if character == "\n":
            quoted, column, word, indent, leading = False, 0, 0, 0, True
        else:
            quoted ^= character == '"'
            depth += 0 if quoted else (character in OPENING) - (character in CLOSING)
            depth = max(depth, 0)
            column += 1
            word = word + 1 if character.isalnum() or character == "_" else 0
            leading &= character in " \t"
            indent += leading
        yield quoted, depth, column, word, indent, character.isupper()


def trackers(states: Array, features: Mapping[str, Array]) -> list[Tracker]:
    """Finds, for each feature, the unit that tracks it best.

    Of all units the one whose correlation with the feature is largest in the first half of the
    text; what is reported is its correlation in the second half, which had no say in the choice.

        unit = argmax_j |r(s_j, feature)| on the first half,  r Pearson's correlation

    Args:
      states: activations [N, H] after each character, h or c.
      features: of `text_features`, or your own, [N] each.

    Returns:
      Trackers, the best first; features that do not change in both halves are left out.

    Raises:
      ValueError: lengths that differ.

    Example:
      found = analysis.trackers(layer.record["c"][:, 0], analysis.text_features(text))

    Source: after Karpathy et al. 2015, arXiv:1506.02078, section 4.2.
    """
    values = np.asarray(states, np.float64)
    half = len(values) // 2
    found: list[Tracker] = []
    for name, feature in features.items():
        if len(feature) != len(values):
            raise ValueError(
                f"trackers: {name!r} has {len(feature)} entries; give {len(values)}, one a state"
            )
        feature = np.asarray(feature, np.float64)
        if not half or not (np.ptp(feature[:half]) and np.ptp(feature[half:])):
            continue
        unit = int(np.argmax(np.abs(_correlations(values[:half], feature[:half]))))
        later = _correlations(values[half:, [unit]], feature[half:])[0]
        found.append(Tracker(name, unit, float(later)))
    return sorted(found, key=lambda tracker: -abs(tracker.correlation))


def _correlations(values: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each column [N, H] with a feature [N]; 0 of constant ones."""
    centered, wanted = values - values.mean(axis=0), feature - feature.mean()
    scale = np.linalg.norm(centered, axis=0) * np.linalg.norm(wanted)
    return centered.T @ wanted / np.where(scale > 0, scale, 1.0)


def plot_text(
    text: Sequence[str], values: Array, title: str = "", bounds: tuple[float, float] = (-1.0, 1.0)
) -> Figure:
    """Plots a text with a color behind each symbol: what one unit or gate is after reading it.

    Args:
      text: symbols, N of them; blanks are shown as ·, ends of lines as ↵.
      values: [N].
      title: of the plot.
      bounds: the values at the ends of the color map; (0, 1) for gates.

    Raises:
      ValueError: not as many values as symbols.

    Example:
      unit = analysis.trackers(c, features)[0].unit
      figure = analysis.plot_text(text, jnp.tanh(c[:, unit]))
    """
    if len(text) != len(values):
        raise ValueError(f"plot_text: there are {len(text)} symbols and {len(values)} values")
    places = _places(text)
    lines = 1 + max((row for row, _, _ in places), default=0)
    drawn, axes = style.figure(9.0, 0.5 + 0.24 * lines)
    axes.grid(False)
    grid = np.full((lines, LINE), np.nan)
    look: dict[str, Any] = dict(ha="center", va="center", fontsize=8, family="DejaVu Sans Mono")
    for (row, column, shown), value in zip(places, np.asarray(values, np.float64), strict=True):
        grid[row, column : column + len(shown)] = value
        for offset, character in enumerate(shown):
            axes.text(column + offset, row, character, **look)
    colors = axes.imshow(
        grid, cmap=style.DIVERGING, vmin=bounds[0], vmax=bounds[1], aspect="auto", alpha=0.8
    )
    axes.set(xticks=[], yticks=[], title=title)
    axes.spines[:].set_visible(False)
    drawn.colorbar(colors, ax=axes, fraction=0.02, pad=0.01)
    return drawn


def _places(text: Sequence[str]) -> list[tuple[int, int, str]]:
    """The line and column of each symbol, and how it is shown.

    A new line begins after each end of line, and where the next symbol would not fit.
    """
    places, row, column = [], 0, 0
    for symbol in text:
        shown = SHOWN.get(symbol, symbol)
        if column and column + len(shown) > LINE:
            row, column = row + 1, 0
        places.append((row, column, shown))
        row, column = (row + 1, 0) if symbol == "\n" else (row, column + len(shown))
    return places


def plot_heat_map(
    text: Sequence[str], values: Array, title: str = "", bounds: tuple[float, float] = (0.0, 1.0)
) -> Figure:
    """Plots units against symbols: a gate or a state of every unit over a text or a sequence.

    Units are in the order of their mean.

    Args:
      text: symbols [N]; what the marks below say.
      values: [N, H].
      title: of the plot.
      bounds: the values at the ends of the color map; (-1, 1) for candidates and h.

    Example:
      figure = analysis.plot_heat_map(text[:80], layer.record["f"][:80, 0])
    """
    rows = np.asarray(values, np.float64).T
    rows = rows[np.argsort(rows.mean(axis=1))]
    drawn, axes = style.figure(9.0, 4.5)
    axes.grid(False)
    colors = style.SEQUENTIAL if bounds[0] == 0 else style.DIVERGING
    shown = axes.imshow(
        rows, cmap=colors, vmin=bounds[0], vmax=bounds[1], aspect="auto", interpolation="nearest"
    )
    marks = [SHOWN.get(symbol, symbol) for symbol in text]
    axes.set_xticks(range(len(marks)), marks, fontsize=6, family="DejaVu Sans Mono")
    axes.set(xlabel="what is read", ylabel="unit, by its mean", title=title)
    drawn.colorbar(shown, ax=axes, fraction=0.03, pad=0.01)
    return drawn
