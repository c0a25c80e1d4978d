"""Settings for every test: warnings of our own are errors, and compiling is quick."""

import os
import tempfile

import jax

QUICK = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
if jax.__version_info__ < (0, 11):  # later ones do not know the flags; here they save a third
    os.environ["XLA_FLAGS"] = f"{QUICK} {os.environ.get('XLA_FLAGS', '')}"
COMPILED = tempfile.TemporaryDirectory()  # removed when the process ends


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes many seconds; left out by -m 'not slow'")
    for package in ("lstm_jax", "experiments"):
        config.addinivalue_line("filterwarnings", f"error:::{package}")
    jax.config.update("jax_compilation_cache_dir", COMPILED.name)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
