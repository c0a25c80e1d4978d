"""A whole study: populations in a queue, of which every device takes one after another."""

from __future__ import annotations

import queue
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

import jax
from ml_collections import ConfigDict

from experiments import signals
from experiments.config import ConfigError
from experiments.study import population, search
from experiments.study.progress import Progress
from experiments.study.search import Population


def run(config: ConfigDict, workdir: Path) -> None:
    """Trains every population that is not finished yet, each device in a thread of its own.

    Raises:
        ConfigError: if several processes were to share the study.
        Interrupted: if a signal came; what was at work is saved.
    """
    if jax.process_count() > 1:
        raise ConfigError("a study runs in one process; start it without JAX_NUM_PROCESSES")
    everything = search.populations(config, search.draw(config))
    unfinished = [p for p in everything if not population.finished(directory_of(workdir, p))]
    devices = jax.local_devices()[: len(unfinished)]
    if not devices:
        return
    waiting: queue.SimpleQueue[Population] = queue.SimpleQueue()
    for one in unfinished:
        waiting.put(one)

    def work(device: jax.Device, shown: Progress) -> None:
        with jax.default_device(device):
            while (one := _next(waiting)) is not None:
                with shown.of(one) as listener:
                    population.train(config, one, directory_of(workdir, one), listener)

    with (
        signals.deferred(),
        Progress(config, everything, unfinished) as shown,
        ThreadPoolExecutor(len(devices)) as threads,
    ):
        workers = [threads.submit(work, device, shown) for device in devices]
        wait(workers, return_when=FIRST_EXCEPTION)
        while _next(waiting) is not None:  # after a failure nobody begins anything new
            continue
        for worker in workers:
            worker.result()


def directory_of(workdir: Path, one: Population) -> Path:
    """Where a population trains."""
    return workdir / "populations" / one.name


def _next(waiting: queue.SimpleQueue[Population]) -> Population | None:
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return None
