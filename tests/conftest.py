"""Settings for every test: warnings of our own are errors, and compiling is quick."""

import contextlib
import os
import tempfile
import types

import jax
import pytest

QUICK = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
if jax.__version_info__ < (0, 11):  # later ones do not know the flags; here they save a third
    os.environ["XLA_FLAGS"] = f"{QUICK} {os.environ.get('XLA_FLAGS', '')}"
NONE = types.SimpleNamespace(params=())
COMPILED = tempfile.TemporaryDirectory()  # removed when the process ends


def pytest_addoption(parser):
    parser.addoption(
        "--method",
        choices=("gpu", "cudnn"),
        help="run the tests of every method with this one alone, in float32; what it cannot run is "
        "skipped. Without a GPU, gpu runs in interpret mode.",
    )


def pytest_configure(config):
    if method := config.getoption("--method"):
        only(method, config)
    config.addinivalue_line("markers", "slow: takes many seconds; left out by -m 'not slow'")
    for package in ("lstm_jax", "experiments"):
        config.addinivalue_line("filterwarnings", f"error:::{package}")
    jax.config.update("jax_compilation_cache_dir", COMPILED.name)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def only(method, config):
    """Has the common suite run one method, on cells in float32."""
    from lstm_jax.recurrence.gpu import device
    from tests import cases

    cases.METHODS, cases.COMMON = (method,), {"dtype": "float32"}
    on_gpu = jax.default_backend() == "gpu"
    cases.COARSEST = 2e-2 if on_gpu else 2e-5  # TF32 has 10 bits after the point
    if method == "gpu" and not on_gpu:
        stack = contextlib.ExitStack()
        stack.enter_context(device.interpreted())
        config.add_cleanup(stack.close)


def pytest_collection_modifyitems(config, items):
    if method := config.getoption("--method"):
        items[:] = [
            item
            for item in items
            if "method" in getattr(item, "callspec", NONE).params or f"test_{method}" in item.nodeid
        ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    except ValueError as error:
        if item.config.getoption("--method") and " cannot run " in str(error):
            pytest.skip(str(error))
        raise
