r"""Export a trained model, to be served without this project.

    python -m experiments.export --workdir=runs/text
    python -m experiments.export --workdir=runs/text --format=onnx \
        --quantize=weights
    python -m experiments.export --workdir=runs/translation --format=safetensors

It writes into WORKDIR/export, and holds what was written against the model. With --quantize it also
evaluates the run's test split with the rounded kernels, beside the original ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
from absl import flags
from ml_collections import ConfigDict

import lstm_jax as lj
from experiments import command_line, tables
from experiments.config import ConfigError, members, to_json
from experiments.sample import best_member
from experiments.serving import check, onnx, stablehlo
from experiments.serving.model import Served
from experiments.serving.quantized import quantized
from experiments.task import Params, Task
from experiments.training.results import write_json
from experiments.training.step import make_evaluate
from lstm_jax.interop import files
from lstm_jax.interop.quantization import MODES, quantize
from lstm_jax.trees import to_dict

FORMATS = ("stablehlo", "onnx", "safetensors")
FORMAT = flags.DEFINE_enum(
    "format",
    "stablehlo",
    FORMATS,
    "stablehlo: whole.stablehlo and step.stablehlo, which need only jax; onnx: model.onnx;"
    " safetensors: variables.safetensors, and network.safetensors for lstm_jax.interop.load.",
)
QUANTIZE = flags.DEFINE_enum(
    "quantize",
    "none",
    ["none", *MODES],
    "Recurrent and input kernels in int8: weights, the kernels alone; dynamic, what they multiply"
    " as well, while it runs.",
)


def export(config: ConfigDict, workdir: Path, kind: str, quantization: str = "none") -> Path:
    """Writes the best member's model into `workdir/export`, and says what became of it.

    Returns:
        The directory.

    Raises:
        ConfigError: if the run has no checkpoint, or its model cannot be exported so.
    """
    if quantization == "dynamic" and kind != "stablehlo":
        raise ConfigError(
            f"--quantize=dynamic is for --format=stablehlo; {kind} takes --quantize=weights"
            + (", and onnxruntime.quantization can go on from there" if kind == "onnx" else "")
        )
    task = command_line.build_task(config)
    state = command_line.trained(task, config, workdir)
    params = best_member(task, state)
    directory = workdir / "export"
    directory.mkdir(exist_ok=True)
    served = task.serve(params) if task.serve else None
    if kind == "safetensors":
        written = _safetensors(config, served, params, directory, quantization)
    else:
        written = _model(config, served, directory, kind, quantization)
    tables.show([["file", "bytes", "largest difference"], *written], str(directory))
    if quantization != "none":
        tables.show(_accuracy(task, config, state.best_params, quantization), "test split")
    return directory


def _model(
    config: ConfigDict, served: Served | None, directory: Path, kind: str, quantization: str
) -> tables.Rows:
    """Writes a model to be served, and what one must know to feed it."""
    if served is None:
        raise ConfigError(
            f"the task {config.task.name!r} has more than inputs, a recurrent network and a linear"
            " layer to serve; export its parameters with --format=safetensors"
        )
    exact = quantization == "none"
    rounded = served if exact else served._replace(
        params=quantize(served.network, served.params, quantization)
    )
    if kind == "onnx":
        paths = [directory / "model.onnx"]
        onnx.write(served, paths[0], quantize=not exact)
    else:
        paths = stablehlo.write(rounded, directory)
    write_json(directory / "model.json", _description(config, served, kind, quantization))
    return [_row(path, check.difference(rounded, path)) for path in paths]


def _safetensors(
    config: ConfigDict, served: Served | None, params: Params, directory: Path, quantization: str
) -> tables.Rows:
    """Writes all parameters of a model and, where it has one network, that with its description."""
    path = directory / "variables.safetensors"
    files.write(
        path,
        params,
        {
            "format": files.FORMAT,
            "version": lj.__version__,
            "config": json.dumps(to_json(config), sort_keys=True),
        },
    )
    if served is None:
        if quantization != "none":
            raise ConfigError(
                f"the task {config.task.name!r} has more than one network; leave --quantize out"
            )
        return [_row(path, check.stored(params, path))]
    own = served.params
    if quantization != "none":
        own = quantize(served.network, own, quantization)
    network = directory / "network.safetensors"
    files.save(network, served.network, own)
    tensors = files.expand(to_dict(served.network, own))
    return [_row(path, check.stored(params, path)), _row(network, check.stored(tensors, network))]


def _row(path: Path, difference: str) -> list[str]:
    return [path.name, f"{path.stat().st_size:,}", difference]


def _accuracy(
    task: Task, config: ConfigDict, params: Params, quantization: str
) -> tables.Rows:
    """Each member's test metrics with its kernels as they are, and in int8."""
    evaluate = make_evaluate(task, config)
    rounded = jax.vmap(lambda own: quantized(own, quantization))(params)
    kinds = {
        "float32": evaluate(params, "test"),
        f"int8, {quantization}": evaluate(rounded, "test"),
    }
    names = list(kinds["float32"][0])
    rows = [
        [f"{kind}, seed {seed}", *(f"{values[name]:.4f}" for name in names)]
        for kind, found in kinds.items()
        for (seed, *_), values in zip(members(config), found, strict=True)
    ]
    return [["kernels", *names], *rows]


def _description(
    config: ConfigDict, served: Served, kind: str, quantization: str
) -> dict[str, Any]:
    """What one must know to feed the model and to read its outputs."""
    one = served.inputs.step()
    return {
        "task": config.task.name,
        "cell": config.cell.name,
        "format": kind,
        "quantize": quantization,
        "inputs": {"shape": list(one.shape), "dtype": str(one.dtype), "names": served.inputs.names},
        "outputs": {"width": len(served.bias), "pooling": served.pooling, "names": served.names},
        "state": served.fresh(1).shape[1],
        "streams": served.streams,
        "versions": {"lstm_jax": lj.__version__, "jax": jax.__version__},
    }


def main(config: ConfigDict, workdir: Path) -> None:
    export(config, workdir, FORMAT.value, QUANTIZE.value)


if __name__ == "__main__":
    command_line.run(main)
