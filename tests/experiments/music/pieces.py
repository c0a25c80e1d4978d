"""Small pieces to test with."""

import numpy as np

SIZES = {"traindata": 11, "validdata": 5, "testdata": 6}
NOTES = 8


def random_cells(seed=0):
    """A MATLAB file's cells: a chord of one of two keys takes turns with a random one."""
    random = np.random.default_rng(seed)
    cells = {}
    for name, size in SIZES.items():
        pieces = np.empty((1, size), object)
        for number in range(size):
            piece = (random.random((random.integers(5, 30), NOTES)) < 0.3).astype(np.uint8)
            piece[::2] = [[1, 0, 1, 0, 1, 0, 0, 0], [0, 1, 0, 1, 0, 1, 0, 0]][number % 2]
            pieces[0, number] = piece
        cells[name] = pieces
    return cells
