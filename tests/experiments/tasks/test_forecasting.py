"""Forecasting: its protocol, that nothing leaks from what comes later, and user's files."""

import csv
import importlib
import json
import os
from datetime import date, timedelta

import jax
import numpy as np
import pytest

from configs import forecasting as forecasting_config
from experiments.config import ConfigError, resolve
from experiments.mesh import Part
from experiments.sample import sample
from experiments.tasks.forecasting import forecasting
from experiments.train import describe
from experiments.training.loop import fit

task = importlib.import_module("experiments.tasks.forecasting")  # the module, not its task

LAST = "repeating the last value"


def make_config(recipe="generated", **changes):
    config = forecasting_config.get_config(recipe)
    config.mode = "tiny"
    return resolve(config, {"train.checkpoint_every": 2, **changes}).unlock()


@pytest.fixture
def real():
    if not os.environ.get("LSTM_JAX_DATA"):
        pytest.skip("LSTM_JAX_DATA is not set")


def walk(rows, seed=0, columns=1):
    """Prices on working days: random walks."""
    random = np.random.default_rng(seed)
    return 100 + random.normal(size=(rows, columns)).cumsum(axis=0)


@pytest.fixture
def no_rivals(monkeypatch):
    """Nothing else is trained, which takes its time."""
    monkeypatch.setattr(task, "RIVALS", {})


def write(path, values, start=date(2015, 1, 5)):
    """A CSV file with a row every working day."""
    day, lines = start, [",".join(["Date", *(f"x{c}" for c in range(values.shape[1]))])]
    for row in values.tolist():
        lines.append(",".join([day.isoformat(), *map(repr, row)]))
        day += timedelta(days=3 if day.weekday() == 4 else 1)
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def run(config, workdir):
    workdir.mkdir()
    (workdir / "config.json").write_text(json.dumps(config.to_dict()))
    return fit(forecasting(config), config, workdir)


def forecasts(setting, origins, params):
    return task._forecast(setting.model, params, setting.windows.at(np.asarray(origins)).windows)


def random_params(setting, windows):
    params = setting.model.init(jax.random.key(0), windows)
    leaves, tree = jax.tree.flatten(params)
    random = np.random.default_rng(0)
    return jax.tree.unflatten(tree, [random.normal(size=x.shape).astype("f4") for x in leaves])


def test_windows_are_those_of_a_plain_loop(tmp_path):
    values = walk(200, columns=2)
    config = make_config(**{"task.path": write(tmp_path / "x.csv", values)})
    setting = task.make_setting(config)
    train = values[:120]
    z = (values - train.mean(axis=0)) / train.std(axis=0)
    for split, start, end in (("train", 24, 120), ("valid", 120, 160), ("test", 160, 200)):
        seen = []
        for batch in setting.windows.in_order(split):
            for b in np.flatnonzero(batch.present):
                seen.append((batch.windows[:, b], batch.targets[:, b]))
        assert len(seen) == end - start - 6 + 1
        for k, (window, target) in enumerate(seen):
            origin = start + k
            np.testing.assert_allclose(window, z[origin - 24 : origin], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(target, z[origin : origin + 6], rtol=1e-4, atol=1e-5)


def test_training_batches_are_windows_of_the_training_rows(tmp_path):
    config = make_config(**{"task.path": write(tmp_path / "x.csv", walk(200))})
    setting = task.make_setting(config)
    z = setting.series.values
    starts = set()
    batches = forecasting(config).train_batches(Part())
    for _ in range(60):
        batch = next(batches)
        for b in range(config.train.batch_size):
            rows = np.concatenate([batch.windows[:, b], batch.targets[:, b]])
            (start,) = [s for s in range(len(z) - 29) if np.array_equal(z[s : s + 30], rows)]
            starts.add(start)
    assert starts <= set(range(120 - 30 + 1))
    assert len(starts) > 80
    assert {0, 90} <= starts


def test_what_comes_after_an_origin_does_not_move_its_forecast(tmp_path):
    values = walk(200)
    before = task.make_setting(make_config(**{"task.path": write(tmp_path / "a.csv", values)}))
    params = random_params(before, before.windows.at(np.array([30])).windows)
    origins = before.windows.origins["test"]
    known = forecasts(before, origins, params)
    for number in (0, 7, len(origins) - 1):
        other = values.copy()
        other[origins[number] :] += 50 + np.random.default_rng(1).normal(
            size=other[origins[number] :].shape
        )
        after = task.make_setting(make_config(**{"task.path": write(tmp_path / "b.csv", other)}))
        changed = forecasts(after, origins, params)
        for old, new in zip(known, changed, strict=True):
            np.testing.assert_array_equal(old[:, : number + 1], new[:, : number + 1])
            if number + 1 < len(origins):
                assert (np.abs(old - new)[:, number + 1] > 1e-3).any()


def test_what_the_test_part_holds_changes_neither_scaling_nor_training(tmp_path, no_rivals):
    values = walk(200)
    other = values.copy()
    other[160:] = 3 * other[160:] - 500
    results = []
    for name, rows in (("a", values), ("b", other)):
        path = write(tmp_path / f"{name}.csv", rows)
        results.append(run(make_config(**{"task.path": path}), tmp_path / name))
    settings = [
        task.make_setting(make_config(**{"task.path": str(tmp_path / f"{name}.csv")}))
        for name in "ab"
    ]
    for old, new in (
        [s.series.mean for s in settings],
        [s.series.deviation for s in settings],
        [s.series.values[:160] for s in settings],
    ):
        np.testing.assert_array_equal(old, new)
    lines = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in "ab"
    ]
    kept = [[line for line in each if line["split"] != "test"] for each in lines]
    assert kept[0] == kept[1]
    assert {line["split"] for line in kept[0]} == {"train", "valid"}
    assert results[0]["test"]["mse"] != results[1]["test"]["mse"]


def test_metrics_and_gain_are_those_of_a_plain_loop(tmp_path, no_rivals):
    config = make_config(
        **{"task.path": write(tmp_path / "x.csv", walk(160, columns=2)), "train.steps": 2}
    )
    setting = task.make_setting(config)
    built = forecasting(config)
    params = random_params(setting, setting.windows.at(np.array([30])).windows)
    means = {}
    for batch in built.eval_batches("test"):
        loss, (_, found) = built.loss(params, (), batch, None)
        for name, mean in found.items():
            total, weight = means.get(name, (0, 0))
            means[name] = total + float(mean.total), weight + float(mean.weight)
        assert float(loss) == pytest.approx(
            sum(float(found[n].total / found[n].weight) for n in ("mse", "pinball")), rel=1e-4
        )
    found = built.summarize({name: total / weight for name, (total, weight) in means.items()})
    origins = setting.windows.origins["test"]
    point, quantiles = (
        np.asarray(part, np.float64) for part in forecasts(setting, origins, params)
    )
    z = setting.series.values.astype(np.float64)
    truth = np.stack([z[t : t + 6] for t in origins], axis=1)
    pinball = [
        np.where(truth > q, level * (truth - q), (1 - level) * (q - truth)).mean()
        for level, q in zip((0.1, 0.5, 0.9), np.moveaxis(quantiles, -1, 0), strict=True)
    ]
    inside = (quantiles[..., 0] <= truth) & (truth <= quantiles[..., 2])
    expected = {
        "mse": np.mean((truth - point) ** 2),
        "mae": np.mean(np.abs(truth - point)),
        "pinball": np.mean(pinball),
        "coverage": inside.mean(),
        "width": np.mean(quantiles[..., 2] - quantiles[..., 0]),
        "nominal_coverage": 0.8,
    }
    assert found == pytest.approx(expected, rel=1e-3)
    gain = built.score(params, "test")
    last = np.mean((truth - np.stack([z[t - 1] for t in origins])[None]) ** 2)
    assert gain["gain"] == pytest.approx(last - expected["mse"], rel=1e-3)
    assert built.baselines()[LAST]["mse"] == pytest.approx(last, rel=1e-4)


def test_without_quantiles_there_is_the_squared_error_alone():
    config = make_config(**{"task.quantiles": ()})
    built = forecasting(config)
    params = built.init(jax.random.key(0))
    batch = next(iter(built.eval_batches("valid")))
    loss, (_, means) = built.loss(params, (), batch, None)
    assert set(means) == {"mse", "mae"}
    assert float(loss) == pytest.approx(float(means["mse"].total / means["mse"].weight))


def test_prices_are_not_called_predictable(tmp_path, no_rivals):
    """A random walk, learnt for a while: whatever its MSE is, no sentence claims a gain."""
    path = write(tmp_path / "x.csv", walk(600))
    changes = {"task.path": path, "train.steps": 40, "train.eval_every": 10}
    results = run(make_config(**changes), tmp_path / "run")
    assert results["facts"]["step"] == "1 working day"
    assert results["verdict"].startswith(f"the model does not beat {LAST}")
    assert describe(results).endswith(results["verdict"])


@pytest.mark.slow
def test_a_season_is_called_predictable(tmp_path):
    changes = {"train.steps": 150, "train.eval_every": 50, "optimizer.learning_rate": 0.01}
    results = run(make_config(**changes), tmp_path / "run")
    assert results["verdict"].startswith(f"the model beats {LAST}: MSE 0.")
    assert results["test"]["mse"]["mean"] < 0.7 * results["baselines"][LAST]["mse"]
    assert set(results["baselines"]) == {
        LAST,
        "repeating the last season",
        "linear model",
        "feed-forward network",
    }
    assert results["baselines"]["linear model"]["mse"] < results["baselines"][LAST]["mse"]


def test_the_end_of_a_user_s_file_goes_on(tmp_path, no_rivals, capsys):
    values = walk(200, columns=2)
    path = write(tmp_path / "x.csv", values)
    config = make_config(**{"task.path": path, "train.steps": 2})
    workdir = tmp_path / "run"
    run(config, workdir)
    sample(config, workdir)
    assert (workdir / "samples" / "forecasts.png").stat().st_size > 20_000
    own = walk(40, seed=9, columns=2)
    prompt = write(tmp_path / "own.csv", own, start=date(2024, 7, 1))
    sample(config, workdir, prompt=prompt)
    assert "forecast.csv" in capsys.readouterr().out
    assert (workdir / "samples" / "forecast.png").stat().st_size > 20_000
    with (workdir / "samples" / "forecast.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header == [
        "date", "x0", "x0 q0.1", "x0 q0.5", "x0 q0.9", "x1", "x1 q0.1", "x1 q0.5", "x1 q0.9",
    ]  # fmt: skip
    assert [row[0] for row in rows] == [
        "2024-08-26", "2024-08-27", "2024-08-28", "2024-08-29", "2024-08-30", "2024-09-02",
    ]  # fmt: skip
    table = np.array([row[1:] for row in rows], float)
    assert (np.diff(table[:, 1:4]) >= 0).all()
    assert (np.diff(table[:, 5:8]) >= 0).all()
    assert np.abs(table[0, [0, 4]] - own[-1]).max() < 20  # near where the series ends


@pytest.mark.parametrize(
    ("values", "columns", "message"),
    [
        (
            walk(20, columns=2),
            "x0,x1",
            "has 20 rows, but the model reads 24; give at least as many",
        ),
        (walk(40, columns=2), "x0,y1", "has no column 'x1'; it has Date, x0, y1"),
        (1e9 * walk(40, columns=2), "x0,x1", "has at 2015-01-05T00:00:00 1"),
    ],
)
def test_prompts_that_do_not_fit_are_refused(tmp_path, values, columns, message):
    path = write(tmp_path / "x.csv", walk(200, columns=2))
    setting = task.make_setting(make_config(**{"task.path": path}))
    prompt = tmp_path / "own.csv"
    write(prompt, values)
    prompt.write_text(prompt.read_text().replace("x0,x1", columns))
    with pytest.raises(ConfigError) as raised:
        task.sample(setting, None, None, tmp_path, prompt=str(prompt))
    assert str(raised.value).startswith(f"--prompt: {prompt} {message}")
    with pytest.raises(ConfigError, match="^--prompt is empty"):
        task.sample(setting, None, None, tmp_path, prompt="")


def test_a_prompt_with_another_step_is_refused(tmp_path):
    setting = task.make_setting(make_config())
    prompt = write(tmp_path / "own.csv", walk(40, columns=2)).replace("x", "x")
    text = (tmp_path / "own.csv").read_text().replace("x0,x1", "a,b")
    (tmp_path / "own.csv").write_text(text)
    with pytest.raises(ConfigError, match="a row every 1 working day, but the training data one e"):
        task.sample(setting, None, None, tmp_path, prompt=prompt)


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        (
            100,
            {"task.horizon": 30},
            "config.task.horizon is 30, but the valid part of x.csv has 20",
        ),
        (
            100,
            {"task.horizon": 60},
            "is 60 and config.task.window is 24, but the train part of x.c",
        ),
        (
            100,
            {"task.segment": 7},
            "config.task.segment is 7, it must divide config.task.window, 24",
        ),
        (100, {"task.quantiles": (0.5, 0.1)}, "config.task.quantiles is (0.5, 0.1), it must rise"),
        (100, {"task.normalisation": "lest"}, "did you mean 'last'?"),
        (100, {"task.columns": ("x1",)}, "has no column 'x1'"),
        (
            100,
            {"task.period": 81},
            "config.task.period is 81, but only 80 rows of x.csv lie before",
        ),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, rows, changes, message):
    path = write(tmp_path / "x.csv", walk(rows))
    with pytest.raises(ConfigError) as raised:
        forecasting(make_config(**{"task.path": path, **changes}))
    assert message in str(raised.value)


def test_columns_are_separated_by_commas(tmp_path):
    path = write(tmp_path / "x.csv", walk(100, columns=4))
    config = make_config(**{"task.path": path, "task.columns": ("x3,x1", "x0")})
    assert task.load(config).dated.columns == ("x3", "x1", "x0")


def test_constant_columns_and_far_values_are_refused_by_name(tmp_path):
    values = walk(100, columns=2)
    values[:60, 1] = 7
    path = write(tmp_path / "x.csv", values)
    with pytest.raises(ConfigError, match=r"x\.csv has the value 7 in all 60 training rows of the"):
        task.make_setting(make_config(**{"task.path": path}))
    setting = task.make_setting(make_config(**{"task.path": path, "task.columns": ("x0",)}))
    assert setting.series.dated.columns == ("x0",)
    values[90, 0] = 1e20
    path = write(tmp_path / "y.csv", values[:, :1])
    with pytest.raises(
        ConfigError, match=r"y\.csv has at 2015-05-11T00:00:00 1e\+20 in the column"
    ):
        task.make_setting(make_config(**{"task.path": path}))


def test_an_unknown_recipe_is_refused_with_the_others_named():
    with pytest.raises(ConfigError, match="config.task.data is 'eth1', choose .*'etth1'"):
        forecasting(make_config("eth1"))


@pytest.mark.parametrize(
    ("recipe", "horizon", "mse", "mae"),
    [
        ("etth1", 24, 1.222, 0.671),
        ("etth1", 48, 1.267, 0.695),
        ("etth1", 168, 1.325, 0.730),
        ("etth1", 336, 1.330, 0.746),
        ("etth1", 720, 1.335, 0.755),
        ("ot", 24, 0.034, 0.139),
        ("ot", 48, 0.050, 0.171),
        ("ot", 168, 0.087, 0.229),
        ("ot", 336, 0.113, 0.265),
        ("ot", 720, 0.129, 0.283),
    ],
)
def test_the_protocol_is_that_of_the_literature(real, recipe, horizon, mse, mae):
    """Repeating the last value is known to reach these on ETTh1, of three decimals."""
    from experiments.forecasting import naive

    setting = task.make_setting(make_config(recipe, **{"task.horizon": horizon}))
    origins = setting.windows.origins["test"]
    assert len(origins) == 2880 - horizon + 1
    known = setting.series.ends["valid"]
    found = naive.naive(setting.series.values, origins, known, horizon, naive.last_value)
    assert round(found["mse"], 3) == mse
    assert round(found["mae"], 3) == mae


@pytest.mark.parametrize(
    ("recipe", "rows", "step", "period"),
    [
        ("passengers", 144, "1 month", 12),
        ("temperatures", 3652, "1 day", 365),
        ("sunspots", 2820, "1 month", 132),
    ],
)
def test_classic_series_are_found(real, recipe, rows, step, period):
    facts = forecasting(make_config(recipe)).facts
    found = [facts[name] for name in ("rows", "step", "period", "valid_end")]
    assert found == [rows, step, period, 4 * rows // 5]
