"""Settings for every test: a warning raised by our own package is an error."""


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes many seconds; left out by -m 'not slow'")
    for package in ("lstm_jax", "experiments"):
        config.addinivalue_line("filterwarnings", f"error:::{package}")
