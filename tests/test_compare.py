"""Results side by side: equal, altered, other seeds, the paper, and files that are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind, ttest_rel

from mtkd.analysis import compare, compare_figures, tables, views
from mtkd.analysis.compare import BEYOND, DIFFERS, SAME, WITHIN, Comparison, Side
from mtkd.analysis.systems import system_order
from mtkd.app import cli
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.common.objects import write_object
from mtkd.experiments.records import COLUMNS

COMMITTED = paths.REFERENCE / "demo"
EVERY = pd.read_csv(COMMITTED / "scores.csv")
SCORES = EVERY[EVERY["system"].isin(["bert", "mtdnn", "mtdnn-kd"])]
CELLS = 3 * 8
Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write a folder with scores.csv."""

    def write(scores: pd.DataFrame, name: str = "mine") -> Path:
        (tmp_path / name).mkdir(parents=True)
        scores.to_csv(tmp_path / name / "scores.csv", index=False)
        return tmp_path / name

    return write


def altered(system: str, task: str, by: float, split: str = "dev", seeds: int = 5) -> pd.DataFrame:
    """The scores with one cell changed, in its first `seeds` seeds."""
    scores = SCORES.copy()
    chosen = (scores["system"] == system) & (scores["task"] == task) & (scores["split"] == split)
    scores.loc[chosen & (scores["seed"] <= seeds), "value"] += by
    return scores


def compared(first: pd.DataFrame, second: pd.DataFrame, name: str = "second") -> Comparison:
    return compare.compare_two(Side("first", first), Side(name, second))


def outcomes(one: Comparison) -> dict[tuple[str, str], str]:
    """The cells that differ, without the means over tasks."""
    cells = one.cells[(one.cells["task"] != "mean") & (one.cells["outcome"] != SAME)]
    return {(row.system, row.task): row.outcome for row in cells.itertuples()}


def cell(one: Comparison, system: str, task: str) -> dict[str, object]:
    found = one.cells[(one.cells["system"] == system) & (one.cells["task"] == task)]
    return found.to_dict("records")[0]


def task_scores(scores: pd.DataFrame, system: str, task: str) -> np.ndarray:
    rows = scores[(scores["system"] == system) & (scores["task"] == task)]
    return rows[rows["split"] == "dev"].groupby("seed")["value"].mean().to_numpy()


# ---------------------------------------------------------------------------- comparing


def test_results_equal_themselves() -> None:
    one = compared(EVERY, EVERY)
    assert one.identical and compare.agree([one]) and compare.agree([one], exact=True)
    assert set(one.cells["outcome"]) == {SAME} and (one.cells["difference"] == 0).all()
    assert len(one.cells) == len(system_order(EVERY)) * 9
    assert set(one.cells["improvement"].dropna()) == {0.5}


def test_altered_cells_are_the_ones_that_differ() -> None:
    scores = altered("mtdnn", "rte", -3)
    scores["value"] += altered("mtdnn-kd", "cola", 0.5, seeds=1)["value"] - SCORES["value"]
    one = compared(SCORES, scores)
    # All five seeds lose 3 points: beyond. One seed gains: the interval of the mean holds 0.
    assert outcomes(one) == {("mtdnn", "rte"): BEYOND, ("mtdnn-kd", "cola"): WITHIN}
    assert not compare.agree([one])
    mean = cell(one, "mtdnn", "mean")
    assert mean["difference"] == pytest.approx(-3 / 8) and mean["outcome"] == BEYOND
    line = compare.verdict_line(one)
    assert line.startswith(f"{CELLS} cells: ") and line.endswith("(mtdnn on RTE -3.00)")
    assert len(compare.table(one, differing=True)) == 4  # two cells, two means


def test_intervals_are_scipy_s_paired_and_welch_s() -> None:
    rng = np.random.default_rng(0)
    noisy = SCORES.assign(value=SCORES["value"] + rng.normal(0, 2, len(SCORES)))
    a, b = (task_scores(scores, "bert", "qqp") for scores in (SCORES, noisy))
    for other, expected in (
        (noisy, ttest_rel(b, a)),
        (noisy.assign(seed=noisy["seed"] + 5), ttest_ind(b, a, equal_var=False)),
    ):
        row = cell(compared(SCORES, other), "bert", "qqp")
        assert (row["low"], row["high"]) == pytest.approx(tuple(expected.confidence_interval()))
        assert row["difference"] == pytest.approx(b.mean() - a.mean())


ONE_SEED = altered("bert", "rte", 0.1, seeds=1)
TWO = SCORES["seed"] <= 2
OF_MRPC = (SCORES["system"] == "bert") & (SCORES["task"] == "mrpc") & (SCORES["split"] == "dev")
CANCELLED = SCORES["value"] + OF_MRPC * SCORES["metric"].map({"f1": 1, "accuracy": -1}).fillna(0)


@pytest.mark.parametrize(
    ("first", "second", "differing", "agrees"),
    [
        (SCORES, SCORES[SCORES["seed"] < 5], {}, True),  # a seed that one side lacks
        (SCORES, altered("bert", "rte", 1, split="test"), {}, True),  # rows that are in no cell
        (SCORES, SCORES.assign(value=CANCELLED), {("bert", "mrpc"): WITHIN}, True),
        (SCORES[TWO], ONE_SEED[TWO], {("bert", "rte"): DIFFERS}, False),  # no interval, no excuse
    ],
)
def test_what_differs_and_what_agrees(
    first: pd.DataFrame, second: pd.DataFrame, differing: dict[Any, str], agrees: bool
) -> None:
    one = compared(first, second)
    assert outcomes(one) == differing and compare.agree([one]) == agrees
    assert not compare.agree([one], exact=True)
    assert compare.verdict_line(one).endswith("other rows of scores.csv differ") != bool(differing)


def test_the_paper_is_judged_by_directions() -> None:
    one = compared(SCORES, pd.DataFrame(), "paper")
    kd = cell(one, "mtdnn-kd", "rte")
    assert kd["second"] == pytest.approx(88.6 - 83.4)
    gains = tables.gain_values(SCORES)
    ours = tables.find_row(gains, "mtdnn-kd", tables.OURS, "rte")
    assert ours and (kd["first"], kd["low"]) == (ours["value"], ours["low"])
    assert kd["outcome"] == tables.direction(ours, 5.2)
    assert "MT-DNN" not in set(compare.table(one)["System"])


def test_nothing_in_common() -> None:
    bert, other = (SCORES[SCORES["system"] == system] for system in ("bert", "mtdnn"))
    for second, name in ((other, "second"), (pd.DataFrame(), "paper")):
        with pytest.raises(MtkdError, match="no system and task in common"):
            compared(bert, second, name)


# ---------------------------------------------------------------------------- sides


def test_a_single_side_is_compared_with_the_committed_results_of_its_recipe(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(altered("mtdnn", "rte", -3), "results/demo")
    shutil.copytree(put(SCORES), tmp_path / "reference" / "demo")
    monkeypatch.setenv("MTKD_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(paths, "REFERENCE", tmp_path / "reference")
    sides = compare.open_sides(["demo"])
    assert [side.label for side in sides] == ["committed", "demo"]
    assert outcomes(compare.compare(sides)[0]) == {("mtdnn", "rte"): BEYOND}
    sides = compare.open_sides(["paper", "demo"])
    assert [side.label for side in sides] == ["demo", "paper"], "the paper comes last"
    put(SCORES, "results/other")
    with pytest.raises(MtkdError, match=r"other: no such committed results \(there are: demo"):
        compare.open_sides(["other"])
    with pytest.raises(MtkdError, match="paper: name a recipe or a folder"):
        compare.open_sides(["paper"])


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (SCORES.drop(columns=["seed"]), "expected those of schema"),
        (SCORES.assign(value="high"), "is not a number"),
        (SCORES.assign(value=SCORES["value"].where(SCORES["task"] != "rte")), "is not a number"),
        (pd.concat([SCORES, SCORES.tail(1)]), "is there twice"),
        (pd.DataFrame(), "not a table|expected those of schema"),
    ],
)
def test_scores_that_are_refused(put: Put, scores: pd.DataFrame, message: str) -> None:
    folder = put(scores)
    with pytest.raises(MtkdError, match=message) as error:
        compare.read_scores(folder / "scores.csv")
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(MtkdError, match="no such folder"):
        compare.open_sides(["nope", "paper"])
    with pytest.raises(MtkdError, match="not there"):
        compare.open_sides([str(tmp_path), "paper"])
    write_object(tmp_path / "sums.json", {"files": {"scores.csv": "0" * 64}})
    with pytest.raises(MtkdError, match="not there; `mtkd reproduce` writes it"):
        compare.open_sides([str(tmp_path), "paper"])
    assert list(SCORES.columns) == COLUMNS


# ---------------------------------------------------------------------------- as it is shown


def test_a_comparison_s_files(tmp_path: Path) -> None:
    sides = [
        Side("a", SCORES),
        Side("b", altered("mtdnn", "rte", -3)),
        Side("paper", pd.DataFrame()),
    ]
    for number, one in enumerate(compare.compare(sides), 1):
        view = compare_figures.comparison_view(one, number)
        written = {path.suffix: path for path in views.write(view, tmp_path)}
        assert set(written) == {".csv", ".md", ".png", ".svg"}
        assert len(pd.read_csv(written[".csv"])) == len(one.cells)
        assert compare.verdict_line(one) in written[".md"].read_text(encoding="utf-8")


def test_exit_status(put: Put, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, same = put(SCORES, "base"), put(SCORES, "same")
    near, far = (put(altered("bert", "rte", by), str(by)) for by in (0.001, -3))

    def call(*words: object) -> tuple[int, str]:
        status = cli.main(["compare", *map(str, words)])
        printed = capsys.readouterr()
        return status, (printed.out or printed.err).strip().splitlines()[-1]

    line = f"{same} less {base}: {CELLS} cells: {CELLS} same"
    assert call(base, same, "--exact") == (0, line)
    assert call(base, near)[0] == 0 and call(base, near, "--exact")[0] == 1
    status, line = call(base, near, far, "--output", tmp_path / "out")
    assert status == 1 and "bert on RTE -3.00" in line
    assert (tmp_path / "out" / "figures" / "comparison_2.svg").is_file()
    status, line = call(base, tmp_path / "none")
    assert status == 1 and line.startswith("mtkd: ") and "no such folder" in line
