"""Looking inside: gradients through time, gates at work, what units remember and track.

    import lstm_jax as lj
    from lstm_jax import analysis

    flow = analysis.gradient_flow(cell, params, xs)["lstm"]["state"]
    (layer,) = analysis.layers(cell, params, xs)
    steps = analysis.time_constants(layer)

Functions are pure and return arrays; beside each stands one that plots them and returns a
Matplotlib figure. Matplotlib is imported when the first plot is drawn.
"""

from lstm_jax.analysis.gate_statistics import (
    GateStatistics,
    gate_names,
    gate_statistics,
    plot_gates_over_time,
    plot_saturation,
)
from lstm_jax.analysis.gradient_flow import (
    Growth,
    gradient_flow,
    growth,
    plot_gradient_flow,
    plot_state_gradients,
    state_gradients,
)
from lstm_jax.analysis.initialization import initialization_flow, plot_initialization
from lstm_jax.analysis.jacobian import (
    Spectrum,
    jacobians,
    lyapunov_exponents,
    plot_spectrum,
    spectrum,
)
from lstm_jax.analysis.layers import Layer, layers
from lstm_jax.analysis.memory import plot_time_constants, retention, time_constants
from lstm_jax.analysis.overfitting import Curves, Overfitting, overfitting, plot_overfitting
from lstm_jax.analysis.text import (
    Tracker,
    plot_heat_map,
    plot_text,
    text_features,
    trackers,
)
from lstm_jax.analysis.trajectories import Trajectories, plot_trajectories, trajectories

__all__ = [
    "Curves",
    "GateStatistics",
    "Growth",
    "Layer",
    "Overfitting",
    "Spectrum",
    "Tracker",
    "Trajectories",
    "gate_names",
    "gate_statistics",
    "gradient_flow",
    "growth",
    "initialization_flow",
    "jacobians",
    "layers",
    "lyapunov_exponents",
    "overfitting",
    "plot_gates_over_time",
    "plot_gradient_flow",
    "plot_heat_map",
    "plot_initialization",
    "plot_overfitting",
    "plot_saturation",
    "plot_spectrum",
    "plot_state_gradients",
    "plot_text",
    "plot_time_constants",
    "plot_trajectories",
    "retention",
    "spectrum",
    "state_gradients",
    "text_features",
    "time_constants",
    "trackers",
    "trajectories",
]
