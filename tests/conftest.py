"""Settings for every test: warnings of our own are errors, nothing is compiled twice."""

import tempfile

import jax

COMPILED = tempfile.TemporaryDirectory()  # removed when the process ends


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes many seconds; left out by -m 'not slow'")
    for package in ("lstm_jax", "experiments"):
        config.addinivalue_line("filterwarnings", f"error:::{package}")
    jax.config.update("jax_compilation_cache_dir", COMPILED.name)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
