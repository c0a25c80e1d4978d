"""What a captioner sees of an image: a grid of features, computed by a network or beforehand."""

from __future__ import annotations

import io
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from experiments.data import files
from experiments.language.scenes import SPLITS, Scene

CELL = 8  # pixels of the side of a cell of the encoder's grid


class ImageEncoder(nn.Module):
    """Three convolutions of stride 2 to a grid of features; each cell knows where it is.

    Two channels hold each pixel's row and column, from -1 to 1, as convolutions alone cannot tell
    places apart (Liu et al. 2018, arXiv:1807.03247).

    Attributes:
        features: M, the number of features of a cell.
    """

    features: int = 128

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Maps images uint8 [B, H, W, 3] to features [B, S, M], the cells of `grid` row by row."""
        x = with_coordinates(images.astype(jnp.float32) / 127.5 - 1)
        for width in (self.features // 4, self.features // 2, self.features):
            x = nn.relu(nn.Conv(width, (3, 3), strides=2)(x))
        return x.reshape(x.shape[0], -1, self.features)


def grid(height: int, width: int) -> tuple[int, int]:
    """The rows and columns of an image's cells, S in all.

    Example:
        >>> grid(32, 128)
        (4, 16)
    """
    return -(-height // CELL), -(-width // CELL)


def with_coordinates(images: jax.Array) -> jax.Array:
    """Adds each pixel's row and column as channels: [B, H, W, C] to [B, H, W, C + 2]."""
    sides = [jnp.linspace(-1, 1, size, dtype=images.dtype) for size in images.shape[1:3]]
    places = jnp.stack(jnp.meshgrid(*sides, indexing="ij"), -1)
    places = jnp.broadcast_to(places, (*images.shape[:3], 2))
    return jnp.concatenate([images, places], -1)


def load_features(path: Path, field: str) -> dict[str, list[Scene]]:
    """Captions with features that some other program computed, from a NumPy archive (.npz).

    For each split, "train", "valid" and "test", it holds two arrays: SPLIT_features [N, S, M],
    numbers, and SPLIT_captions [N], texts. An image with several captions has several rows.

    Args:
        path: the archive.
        field: the config's field that names it.

    Returns:
        For each split its captions, with features float32 [S, M] in the place of the images.

    Raises:
        ConfigError: naming the array that does not fit.
    """
    arrays = _read_arrays(path, field)
    cells = arrays["train_features"].shape[1:]
    splits = {}
    for split in SPLITS:
        features, captions = arrays[f"{split}_features"], arrays[f"{split}_captions"]
        for name, fault in [
            (f"{split}_features", _fault_of_features(features, cells)),
            (f"{split}_captions", _fault_of_captions(captions, len(features))),
        ]:
            if fault:
                raise files.refusal(path, field, f"has {name} {fault}")
        splits[split] = [
            Scene(row, str(caption))
            for row, caption in zip(features.astype(np.float32), captions, strict=True)
        ]
    return splits


def _read_arrays(path: Path, field: str) -> dict[str, np.ndarray]:
    """All arrays that `load_features` needs, of at least one dimension."""
    content = files.read_bytes(path, field)
    try:
        with np.load(io.BytesIO(content)) as archive:
            arrays = {name: np.atleast_1d(archive[name]) for name in archive.files}
    except Exception as error:  # whatever a damaged file makes NumPy raise
        what = "is no whole NumPy archive of numbers and texts; write it by np.savez"
        raise files.refusal(path, field, what) from error
    for name in (f"{split}_{kind}" for split in SPLITS for kind in ("features", "captions")):
        if name not in arrays:
            has = ", ".join(arrays)[:200] or "nothing"
            raise files.refusal(path, field, f"has no array {name}; it has {has}")
    return arrays


def _fault_of_features(features: np.ndarray, cells: tuple[int, ...]) -> str:
    """What is wrong with features that must be [N, *cells], if anything."""
    if features.dtype.kind not in "fiu":
        return f"of {features.dtype}, they must be numbers"
    if features.ndim != 3 or 0 in features.shape:
        return f"of shape {list(features.shape)}, it must be [images, cells, features]"
    if features.shape[1:] != cells:
        return f"of shape {list(features.shape)}, but those of train have {list(cells)} an image"
    if not (np.abs(features) <= np.finfo(np.float32).max).all():
        return "that hold NaN, infinity or numbers beyond single precision; make them finite"
    return ""


def _fault_of_captions(captions: np.ndarray, number: int) -> str:
    """What is wrong with captions that must be [number], if anything."""
    if captions.dtype.kind != "U":
        return f"of {captions.dtype}, they must be texts (dtype str)"
    if captions.shape != (number,):
        return f"of shape {list(captions.shape)}, but there are features of {number} images"
    if not np.char.strip(captions).all():
        return f"of which number {np.char.strip(captions).tolist().index('')} is empty"
    return ""
