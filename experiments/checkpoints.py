"""Checkpoints: one pytree and a little JSON a step, written whole or not at all, by Orbax."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from absl import logging
from orbax.checkpoint import v1 as ocp


class Checkpoints:
    """The latest two checkpoints of a run; a damaged one is passed over when restoring.

    Example:
        >>> with Checkpoints(directory) as checkpoints:
        ...     checkpoints.save(10, state, {"iterator": 10})
        ...     state, extra = checkpoints.restore(state)
    """

    def __init__(self, directory: Path) -> None:
        policy = ocp.training.preservation_policies.LatestN(2)
        self._orbax = ocp.training.Checkpointer(directory.absolute(), preservation_policy=policy)

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *exception: object) -> None:
        self._orbax.close()

    def save(self, step: int, state: Any, extra: dict[str, Any]) -> None:
        """Saves the pytree `state` and JSON `extra`; returns when they are on the disk.

        Waiting is deliberate: the next training step reuses the state's buffers.
        """
        self._orbax.save(step, state, force=True, overwrite=True, custom_metadata=extra)

    def restore(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """Loads the latest checkpoint that is whole, into the structure of `like`.

        Later, damaged ones are deleted.

        Returns:
            (state, extra), or None if there is no checkpoint.

        Raises:
            RuntimeError: if there are checkpoints, none of which can be read.
        """
        steps = [checkpoint.step for checkpoint in reversed(self._orbax.checkpoints)]
        for position, step in enumerate(steps):
            try:
                restored = self._load(step, like)
            except Exception as error:  # whatever a damaged file makes Orbax raise
                logging.warning("checkpoint %d cannot be read (%s)", step, type(error).__name__)
                continue
            self._discard(steps[:position])
            return restored
        if steps:
            raise RuntimeError(
                f"no checkpoint in {self._orbax.directory} can be read; delete it to start afresh"
            )
        return None

    def _load(self, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
        state = self._orbax.load(step, like)
        return state, dict(self._orbax.metadata(step).custom_metadata)

    def _discard(self, steps: list[int]) -> None:
        for step in steps:
            shutil.rmtree(Path(str(self._orbax.directory)) / str(step))
        self._orbax.reload()
