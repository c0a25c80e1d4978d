"""The plots show the numbers that they were given; pyplot stays out of it."""

import subprocess
import sys

import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import analysis
from lstm_jax.analysis import style
from tests.cases import assert_close
from tests.lstm_jax.analysis.conftest import LENGTHS, taken_apart

RNG = np.random.default_rng(0)


def lines(axes):
    return {line.get_label(): line.get_xydata() for line in axes.get_lines()}


def test_flow_is_drawn_over_the_lag():
    flow = 0.5 ** np.arange(20)[::-1, None] * RNG.uniform(0.5, 1.5, (20, 5))
    (axes,) = analysis.plot_gradient_flow({"mine": flow}, "a title").axes
    drawn = lines(axes)["mine: vanishing"]
    assert_close(drawn, np.stack([np.arange(20), np.median(flow, axis=1)[::-1]], axis=1))
    assert axes.get_yscale() == "log" and axes.get_title() == "a title"


def test_state_gradients_are_drawn_over_time():
    flow = RNG.uniform(0.5, 1.5, (20, 5))
    flow[3] = 0
    (axes,) = analysis.plot_state_gradients({"h": flow}).axes
    drawn = lines(axes)["h"][:, 1]
    assert np.isnan(drawn[3])
    assert_close(np.delete(drawn, 3), np.delete(np.median(flow, axis=1), 3))


def test_lines_differ_in_color_and_style():
    flows = {str(k): np.ones((3, 2)) for k in range(9)}
    (axes,) = analysis.plot_state_gradients(flows).axes
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.get_lines()}
    assert len(looks) == 9 and {color for color, _ in looks} == set(style.COLORS)


def test_spectrum_has_the_unit_circle_and_every_eigenvalue():
    found = analysis.spectrum(RNG.standard_normal((2, 4, 4)))
    plane, values = analysis.plot_spectrum({"mine": found}).axes
    assert_close(np.linalg.norm(plane.get_lines()[0].get_xydata(), axis=1), np.ones(200))
    points = plane.collections[0].get_offsets().data
    assert_close(points @ [1, 1j], np.ravel(found.eigenvalues))
    assert_close(lines(values)["mine"][:, 1], np.sort(np.ravel(found.singular_values))[::-1])


def test_saturation_has_a_point_for_each_unit(layer):
    found = analysis.gate_statistics(layer)
    axes = analysis.plot_saturation(found).axes
    for own, (name, statistics) in zip(axes, found.items(), strict=True):
        assert own.get_title().startswith(f"{name}: mean 0.")
        points = own.collections[0].get_offsets().data
        assert_close(points, np.stack([statistics.right, statistics.left], axis=1), 1e-6)


def test_gates_over_time(layer):
    found = analysis.gate_statistics(layer)
    (axes,) = analysis.plot_gates_over_time(found).axes
    assert_close(lines(axes)["f"][:, 1], np.asarray(found["f"].over_time), 1e-6)


def test_time_constants_in_order():
    (axes,) = analysis.plot_time_constants({"a": np.array([5.0, 1.0, np.inf]), "b": [0, 0]}).axes
    assert_close(lines(axes)["a"], np.array([[0, 1.0], [0.5, 5.0]]))
    assert lines(axes)["b: keeps nothing by itself"].size == 0


def test_trajectories_are_drawn_from_start_to_end():
    (layer,) = taken_apart(lj.lstm(5), lengths=LENGTHS)
    found = analysis.trajectories(layer)
    (axes,) = analysis.plot_trajectories(found, sequences=2).axes
    path, first, last = (line.get_xydata() for line in axes.get_lines()[3:])
    assert_close(path, np.asarray(found.points[:4, 1], float))
    assert_close(np.concatenate([first, last]), path[[0, -1]])


def test_a_single_component_is_drawn_over_time():
    (layer,) = taken_apart(lj.gru(1), lengths=LENGTHS)
    found = analysis.trajectories(layer, components=1)
    (axes,) = analysis.plot_trajectories(found, sequences=1).axes
    wanted = np.stack([np.arange(7), np.asarray(found.points[:, 0, 0])], axis=1)
    assert_close(axes.get_lines()[0].get_xydata(), wanted)
    assert axes.get_xlabel() == "step" and "100% of the variance" in axes.get_ylabel()


def test_a_text_has_a_value_for_each_symbol():
    with pytest.raises(ValueError, match="there are 3 symbols and 2 values"):
        analysis.plot_text("abc", np.ones(2))


@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (0.0, 1.0)])
def test_text_has_its_values_behind_it(bounds):
    text, values = [*"ab\nc d"], np.linspace(*bounds, 6)
    axes = analysis.plot_text(text, values, bounds=bounds).axes[0]
    grid = axes.images[0].get_array()
    assert_close(grid[0, :3].data, values[:3])
    assert_close(grid[1, :3].data, values[3:])
    assert grid.mask[0, 3:].all()
    assert [t.get_text() for t in axes.texts] == ["a", "b", "↵", "c", "·", "d"]


def test_long_lines_and_words_are_wrapped():
    words = ["word"] * 30
    axes = analysis.plot_text(words, np.arange(30.0)).axes[0]
    grid = axes.images[0].get_array()
    assert grid.shape == (2, 72) and grid[1, 0] == 18 and grid[0, 71] == 17


def test_heat_map_orders_units_by_their_mean():
    values = RNG.uniform(size=(6, 4))
    axes = analysis.plot_heat_map("abc de", values).axes[0]
    order = np.argsort(values.mean(axis=0))
    assert_close(axes.images[0].get_array().data, values.T[order])
    assert [t.get_text() for t in axes.get_xticklabels()] == [*"abc·de"]


def test_initialization_has_a_line_for_each_setting():
    flow = RNG.uniform(0.5, 1.5, (2, 3, 4, 5))
    (axes,) = analysis.plot_initialization(flow, (0.1, 1), (0, 1, 2)).axes
    assert_close(
        lines(axes)["weights × 1, bias 2: held"][:, 1], np.median(flow[1, 2], axis=1)[::-1]
    )


def test_overfitting_marks_the_best_step():
    curves = analysis.Curves(np.array([1, 2, 3]), np.array([3.0, 2, 1]), np.array([3, 2.0, 4]))
    losses, gaps = analysis.plot_overfitting({"mine": curves}).axes
    assert_close(losses.get_lines()[1].get_xydata(), np.array([[2.0, 2.0]]))
    assert_close(gaps.get_lines()[0].get_ydata(), np.array([0.0, 0, 3]))
    assert losses.get_lines()[0].get_color() == style.COLORS[0]


def test_neither_the_import_nor_a_plot_chooses_a_backend():
    program = (
        "import sys, numpy as np\nfrom lstm_jax import analysis\n"
        "assert 'matplotlib' not in sys.modules\n"
        "analysis.plot_state_gradients({'h': np.ones((3, 2))})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
