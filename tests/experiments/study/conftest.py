"""What the tests of the study share."""

import warnings

import pytest


@pytest.fixture
def no_warning():
    """Makes an error of every warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
