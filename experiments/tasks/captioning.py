"""Image captioning: look at a picture, write what is in it."""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict
from rich.progress import track

from experiments.config import ConfigError, choose
from experiments.data import files
from experiments.language import images, nlvr, scenes, scores
from experiments.language.attention import Memory
from experiments.language.images import ImageEncoder
from experiments.language.pictures import Captioned, plot_captions
from experiments.language.samples import write_samples
from experiments.language.scenes import Scene
from experiments.language.vocabulary import (
    Vocabulary,
    build,
    is_tokenized,
    join_words,
    most_frequent,
    split_words,
)
from experiments.language.writer import Examples, Writer, Written
from experiments.task import Task

DATA = ("nlvr", "scenes")
HELD_OUT = 500  # generated scenes of validation, and of the test, at most
CONSTANTS = 500  # captions that may become the one for every picture
SHOWN, DRAWN = 8, 4  # captions in a sample, and those of them with their pictures
CHUNK = 1000  # pictures that are compared at once


class Pictures(NamedTuple):
    """The pictures of a split [N, H, W, 3], or their features [N, S, M], each with a caption."""

    images: np.ndarray
    captions: list[str]

    def references(self) -> list[list[str]]:
        """For each picture the captions of all that are equal to it."""
        return nlvr.references(list(map(Scene, self.images, self.captions)))


class PictureEncoder(nn.Module):
    """A convolutional network over a picture, then one convolution that joins neighbouring cells.

    Each cell of the grid is a place that attention can look at. Its features end with its row and
    column, from -1 to 1, so that what attention looks at says where it is.
    """

    features: int
    dropout: float

    @nn.compact
    def __call__(self, pictures: jax.Array, deterministic: bool = True) -> Memory:
        """Looks at pictures uint8 [B, H, W, 3]."""
        cells = ImageEncoder(self.features)(pictures)
        cells = cells.reshape(-1, *images.grid(*pictures.shape[1:3]), self.features)
        cells = nn.relu(nn.Conv(self.features, (3, 3))(cells))
        cells = nn.Dropout(self.dropout)(cells, deterministic=deterministic)
        values = images.with_coordinates(cells).reshape(len(pictures), -1, self.features + 2)
        return Memory(values, jnp.ones(values.shape[:2], bool))


class FeatureEncoder(nn.Module):
    """One layer over features from elsewhere; a cell whose features are all zero is not there."""

    features: int
    dropout: float

    @nn.compact
    def __call__(self, cells: jax.Array, deterministic: bool = True) -> Memory:
        """Looks at features [B, S, M]."""
        values = nn.relu(nn.Dense(self.features)(cells))
        values = nn.Dropout(self.dropout)(values, deterministic=deterministic)
        return Memory(values, (jnp.asarray(cells) != 0).any(axis=-1))


def captioning(config: ConfigDict) -> Task:
    """Captions of generated scenes, of NLVR's images, or of the features in `config.task.path`.

    A convolutional encoder sees the picture, one layer the features; a decoder of any cell writes
    the caption word by word, with `config.task.attention`. Validation selects on perplexity. What
    counts is, for scenes, how many captions of unseen combinations are right in every word, and
    otherwise the BLEU of the test captions.

    Raises:
        ConfigError: if a file is absent or wrong, or a field cannot be.
    """
    used = config.task
    splits = load(config)
    vocabulary = build("word", splits["train"].captions, used.vocabulary_size, marks=True)
    splits["train"] = short(splits["train"], vocabulary, used.longest)
    encode = FeatureEncoder if used.path else PictureEncoder
    writer = Writer(
        config,
        encode(used.features, config.model.dropout),
        vocabulary,
        {name: examples(split, vocabulary) for name, split in splits.items()},
        input_axes=0,
    )
    exact = not used.path and used.data == "scenes"
    return writer.task(
        headline="exact_match" if exact else "bleu",
        score=lambda params, split: judge(writer.write(params, split), splits[split], exact),
        baselines=lambda: baselines(splits, exact),
        sample=partial(sample, writer, splits["test"]),
        facts=facts(splits) | vocabulary.facts() | {"padding": writer.buckets["train"].padding()},
    )


def load(config: ConfigDict) -> dict[str, Pictures]:
    """The pictures of each split, and their captions in words between blanks."""
    used = config.task
    data = choose("task.data", used.data, DATA)
    if used.path:
        read = images.load_features(Path(used.path), "config.task.path")
    elif data == "nlvr":
        read = nlvr.load(config.data_dir)
    else:
        held_out = min(used.pictures, HELD_OUT)
        numbers = {"train": used.pictures, "valid": held_out, "test": held_out}
        read = {split: draw(split, number) for split, number in numbers.items()}
    tokenized = is_tokenized(caption for _, caption in read["train"])
    return {name: gather(split, tokenized) for name, split in read.items()}


def draw(split: str, number: int) -> list[Scene]:
    """The first scenes of a split, some 2,000 a second."""
    quiet = not sys.stdout.isatty()
    numbers = track(range(number), f"drawing scenes: {split}", transient=True, disable=quiet)
    return [scenes.scene(split, n) for n in numbers]


def gather(split: Sequence[Scene], tokenized: bool) -> Pictures:
    """A split's pictures in one array, and its captions with a blank between any two words."""
    lines = [" ".join(caption.split()) for _, caption in split]
    captions = [join_words(split_words(line, tokenized)) for line in lines]
    return Pictures(np.stack([image for image, _ in split]), captions)


def short(pictures: Pictures, vocabulary: Vocabulary, longest: int) -> Pictures:
    """The pictures whose captions take, with the end mark, at most `longest` symbols."""
    kept = [n for n, text in enumerate(pictures.captions) if len(vocabulary.encode(text)) < longest]
    if not kept:
        raise ConfigError(f"config.task.longest is {longest}, but every caption is longer")
    return Pictures(pictures.images[kept], [pictures.captions[n] for n in kept])


def examples(pictures: Pictures, vocabulary: Vocabulary) -> Examples:
    """A split for the writer; what an empty place of a batch shows does not matter."""
    targets = [vocabulary.encode(caption) for caption in pictures.captions]
    ones = np.ones(len(targets), np.int32)
    return Examples(lambda draw: pictures.images[draw.examples], ones, targets)


def judge(texts: Sequence[str], pictures: Pictures, exact: bool) -> dict[str, float]:
    """BLEU with all captions of each picture as references; if `exact`, the share of exact ones."""
    found = {"bleu": scores.bleu(texts, pictures.references())[0]}
    if exact:
        found["exact_match"] = scores.exact_match(texts, pictures.captions)
    return found


def baselines(splits: Mapping[str, Pictures], exact: bool) -> dict[str, dict[str, float]]:
    """What the nearest training picture's caption reaches, and one caption for every picture.

    The one is the commonest in training and, but for scenes, that of the CONSTANTS commonest ones
    whose BLEU is the best in validation.
    """
    train, test = splits["train"], splits["test"]
    near = nearest(test.images, train.images)
    common = commonest(train.captions, CONSTANTS)
    ones = {"the commonest training caption": common[0]}
    if not exact:
        best = best_constant(common, splits["valid"].references())
        ones["one training caption, the best in validation"] = best
    texts = {name: [text] * len(near) for name, text in ones.items()}
    texts["the nearest training picture's caption"] = [train.captions[n] for n in near]
    return {name: judge(captions, test, exact) for name, captions in texts.items()}


def commonest(captions: Sequence[str], number: int) -> list[str]:
    """The captions of the largest counts, ties in alphabetical order."""
    return most_frequent(Counter(captions), number)


def best_constant(captions: Sequence[str], references: Sequence[Sequence[str]]) -> str:
    """The caption that has the best BLEU if it is written for every picture."""
    return max(captions, key=lambda text: scores.bleu([text] * len(references), references)[0])


def nearest(pictures: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each picture [P, ...] the number [P] of the nearest other one: |a - b|² of the pixels."""
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    distances = []
    for start in range(0, len(others), CHUNK):
        part = others[start : start + CHUNK].reshape(-1, flat.shape[1]).astype(np.float32)
        distances.append(np.square(part).sum(axis=1) - 2 * flat @ part.T)
    return np.concatenate(distances, axis=1).argmin(axis=1)


def facts(splits: Mapping[str, Pictures]) -> dict[str, Any]:
    """What the results say about the data."""
    content = b"".join(
        "\n".join(split.captions).encode() + split.images.tobytes() for split in splits.values()
    )
    return {
        "sha256": files.sha256(content),
        "bleu_signature": scores.bleu(["a"], [["a"]])[1],
        **{f"{name}_captions": len(split.captions) for name, split in splits.items()},
    }


def sample(
    writer: Writer,
    pictures: Pictures,
    params: Any,
    key: jax.Array,
    directory: Path,
    prompt: str | None = None,
) -> None:
    """Writes captions of the first few pictures, or of the user's: samples.txt, captions.png.

    Args:
        writer: the model.
        pictures: those of the test split.
        params: the parameters.
        key: not used; beam search has no chance in it.
        directory: where the files go.
        prompt: the path of a picture of the user's, see `read_picture`.

    Raises:
        ConfigError: if the user's picture cannot be read, or the model has learnt from features.
    """
    shown, references = pictures.images[:SHOWN], pictures.references()[:SHOWN]
    if prompt is not None:
        shown, references = read_picture(prompt, shown[0].shape)[None], [[]]
    written = writer.describe(params, shown)
    blocks = [
        "".join(f"{line}\n" for line in (f"caption:   {w.text}", *(f"reference: {r}" for r in own)))
        for w, own in zip(written, references, strict=True)
    ]
    write_samples(directory, blocks)
    if shown.ndim == 4:
        items = [
            lit(writer, image, own, text)
            for image, own, text in zip(shown, references, written, strict=True)
        ]
        plot_captions(directory / "captions.png", items[:DRAWN])
        print(directory / "captions.png")


def lit(writer: Writer, image: np.ndarray, references: list[str], written: Written) -> Captioned:
    """A caption for the plot, with where attention looked if there is attention."""
    attention = None
    if writer.config.task.attention != "none":
        attention = written.weights.reshape(-1, *images.grid(*image.shape[:2]))
    words = writer.vocabulary.tokens(written.symbols)
    return Captioned(image, written.text, references, words, attention)


def read_picture(path: str, shape: tuple[int, ...]) -> np.ndarray:
    """A picture of any size and format that Pillow reads, as uint8 of a shape [H, W, 3].

    Its sides keep their ratio; what is free beside it has its mean colour.
    """
    from PIL import Image, ImageOps, ImageStat  # matplotlib brings it

    if len(shape) != 3:
        raise ConfigError("--prompt is a picture, but this model has learnt from features")
    if not path:
        raise ConfigError("--prompt is empty; give the path of a picture")
    content = io.BytesIO(files.read_bytes(Path(path), "--prompt"))
    try:
        with Image.open(content) as image:
            whole = image.convert("RGB")
        mean = tuple(map(round, ImageStat.Stat(whole).mean))
        return np.array(ImageOps.pad(whole, (shape[1], shape[0]), Image.Resampling.BOX, mean))
    except Exception as error:  # whatever a damaged file makes Pillow raise
        what = "is no picture that can be read; give a PNG"
        raise files.refusal(Path(path), "--prompt", what) from error
