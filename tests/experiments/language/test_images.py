"""What a captioner sees: features of the right places, and features that come from a file."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.language.images import ImageEncoder, grid, load_features, with_coordinates

ENCODER = ImageEncoder(features=16)


def picture(seed, shape=(2, 32, 48, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture
def params():
    return jax.jit(ENCODER.init)(jax.random.PRNGKey(3), picture(0))


def blind(params):
    """The same encoder without eyes for rows and columns."""
    kernel = params["params"]["Conv_0"]["kernel"]
    others = {**params["params"]["Conv_0"], "kernel": kernel.at[:, :, 3:].set(0.0)}
    return {"params": {**params["params"], "Conv_0": others}}


def test_the_cells_are_those_of_the_grid_row_by_row(params):
    """A pixel is seen by its own cell, and by those above and left of it; by no other."""
    rows, columns = grid(32, 48)
    images = picture(1)
    features = np.asarray(ENCODER.apply(params, images))
    assert features.shape == (2, rows * columns, 16)
    for row, column in [(2, 3), (0, 0), (3, 5)]:
        changed = images.copy()
        changed[1, 8 * row + 2, 8 * column + 1] ^= 255
        difference = np.abs(np.asarray(ENCODER.apply(params, changed)) - features).max(-1)
        assert not difference[0].any()
        seen = {tuple(map(int, divmod(cell, columns))) for cell in np.flatnonzero(difference[1])}
        near = {(r, c) for r in (row - 1, row) for c in (column - 1, column)}
        assert (row, column) in seen
        assert seen <= near


def test_what_moves_by_a_cell_moves_by_a_cell_among_the_features(params):
    image = np.full((1, 48, 48, 3), 200, np.uint8)
    image[:, 8:24, 16:24] = picture(2, (1, 16, 8, 3))
    moved = np.roll(image, (16, -8), axis=(1, 2))
    before, after = (
        np.asarray(ENCODER.apply(blind(params), x)).reshape(6, 6, 16) for x in (image, moved)
    )
    np.testing.assert_allclose(after[2:5, :3], before[:3, 1:4], atol=1e-5)
    assert np.abs(after[:3, 1:4] - before[:3, 1:4]).max() > 0.1


def test_the_same_thing_elsewhere_has_other_features(params):
    image = np.full((1, 48, 48, 3), 120, np.uint8)
    for weights, differ in [(params, True), (blind(params), False)]:
        cells = np.asarray(ENCODER.apply(weights, image)).reshape(6, 6, 16)[:5, :5]
        assert (np.abs(cells - cells[0, 0]).max((1, 2))[1:] > 1e-3).all() == differ


def test_coordinates_run_from_the_top_left_to_the_bottom_right():
    places = np.asarray(with_coordinates(jnp.ones((2, 3, 5, 1))))
    assert places.shape == (2, 3, 5, 3)
    np.testing.assert_allclose(places[1, 0, 0], [1, -1, -1])
    np.testing.assert_allclose(places[0, 1, 4], [1, 0, 1])
    np.testing.assert_allclose(places[0, 2, 1], [1, 1, -0.5])


@pytest.mark.parametrize("height", [1, 8, 25, 41])
def test_any_size_has_a_grid(height):
    image = picture(3, (1, height, 19, 3))
    features = jax.eval_shape(ENCODER.init_with_output, jax.random.PRNGKey(0), image)[0]
    rows, columns = grid(height, 19)
    assert features.shape[1] == rows * columns


def arrays(**changes):
    """What a file of features holds, for 3, 2 and 1 images of 4 cells."""
    rng = np.random.default_rng(4)
    content = {}
    for split, number in [("train", 3), ("valid", 2), ("test", 1)]:
        content[f"{split}_features"] = rng.normal(size=(number, 4, 5))
        content[f"{split}_captions"] = np.array([f"{split} {n}" for n in range(number)])
    return {name: value for name, value in (content | changes).items() if value is not None}


def test_features_come_from_a_file_with_their_captions(tmp_path):
    content = arrays()
    np.savez(tmp_path / "features.npz", **content)
    splits = load_features(tmp_path / "features.npz", "config.task.path")
    assert [len(splits[split]) for split in ("train", "valid", "test")] == [3, 2, 1]
    features, caption = splits["train"][2]
    assert caption == "train 2"
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, content["train_features"][2], rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid_captions": None}, "has no array valid_captions; it has train_features, "),
        ({"test_features": np.array([["a"]])}, "has test_features of <U1, they must be numbers"),
        ({"train_features": np.ones((3, 4))}, r"train_features of shape \[3, 4\], it must be"),
        ({"train_features": np.ones((0, 4, 5))}, r"train_features of shape \[0, 4, 5\], it"),
        ({"test_features": np.ones((1, 3, 5))}, r"those of train have \[4, 5\] an image"),
        ({"valid_features": np.full((2, 4, 5), np.nan)}, "valid_features that hold NaN, inf"),
        ({"valid_features": np.full((2, 4, 5), 1e300)}, "valid_features that hold NaN, inf"),
        ({"test_captions": np.array([b"a"])}, r"test_captions of \|S1, they must be texts"),
        ({"test_captions": np.array(["a", "b"])}, "but there are features of 1 images"),
        ({"train_captions": np.array(["a", " ", "c"])}, "train_captions of which number 1 is"),
        ({"train_captions": np.array(["a", None, "c"])}, "is no whole NumPy archive"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_arrays_that_do_not_fit_are_named(tmp_path, changes, message):
    np.savez(tmp_path / "features.npz", **arrays(**changes))
    with pytest.raises(ConfigError, match=f"config.task.path: .*features.npz .*{message}"):
        load_features(tmp_path / "features.npz", "config.task.path")


@pytest.mark.parametrize("damage", ["absent", "empty", "text", "cut", "one array"])
def test_files_that_are_no_archives_are_refused(tmp_path, damage):
    path = tmp_path / "features.npz"
    if damage != "absent":
        np.savez(path, **arrays())
        whole = path.read_bytes()
        path.write_bytes({"empty": b"", "text": b"a,b\n1,2\n"}.get(damage, whole[:-300]))
    if damage == "one array":
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    with pytest.raises(ConfigError, match=r"^config\.task\.path: .*features\.npz [^\n]*$"):
        load_features(path, "config.task.path")
