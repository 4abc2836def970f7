"""Results side by side: equal, altered, other seeds, the paper, and folders that are refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mtkd.analysis import compare, compare_figures, compare_tables
from mtkd.analysis.compare_sources import Source, open_source, open_sources
from mtkd.analysis.systems import system_order
from mtkd.app import cli
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.experiments.records import COLUMNS, SCHEMA

DEMO = paths.ROOT / "results" / "demo"
SCORES = pd.read_csv(DEMO / "scores.csv")
SYSTEMS = len(system_order(SCORES))
CELLS = SYSTEMS * 8  # systems of the main tables x tasks
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
    """The demo's scores with one cell changed, in its first `seeds` seeds."""
    scores = SCORES.copy()
    chosen = (scores["system"] == system) & (scores["task"] == task) & (scores["split"] == split)
    scores.loc[chosen & (scores["seed"] <= seeds), "value"] += by
    return scores


def pair_of(first: pd.DataFrame, second: pd.DataFrame) -> compare.Pair:
    return compare.compare_pair(Source("first", first), Source("second", second))


def outcomes(pair: compare.Pair) -> dict[tuple[str, str], str]:
    """The cells that differ, without the means over tasks."""
    cells = pair.cells[(pair.cells["task"] != "mean") & (pair.cells["outcome"] != "same")]
    return {(row.system, row.task): row.outcome for row in cells.itertuples()}


# ---------------------------------------------------------------------------- comparing


def test_the_demo_equals_itself() -> None:
    pairs = compare.compare(open_sources([str(DEMO), str(DEMO)]))
    assert compare.verdict(pairs) == f"equal: all {CELLS} cells are the same"
    assert compare.agree(pairs) and compare.agree(pairs, exact=True)
    assert (pairs[0].cells["difference"] == 0).all() and len(pairs[0].cells) == CELLS + SYSTEMS
    assert {found.value for found in pairs[0].improvement.values()} == {0.5}
    assert [source.label for source in (pairs[0].first, pairs[0].second)] == ["demo", str(DEMO)]


def test_altered_cells_are_the_ones_that_differ() -> None:
    scores = altered("mtdnn", "rte", -3)
    scores["value"] += altered("mtdnn-kd", "cola", 0.5, seeds=1)["value"] - SCORES["value"]
    pair = pair_of(SCORES, scores)
    # All five seeds lose 3 points: beyond. One seed gains: the interval of the mean holds 0.
    assert outcomes(pair) == {("mtdnn", "rte"): "beyond", ("mtdnn-kd", "cola"): "within"}
    row = pair.cells.query("system == 'mtdnn' and task == 'rte'").iloc[0]
    assert row["difference"] == pytest.approx(-3) and row["pairing"] == "paired"
    assert (row["low"], row["high"]) == pytest.approx((-3, -3))
    mean = pair.cells.query("system == 'mtdnn' and task == 'mean'").iloc[0]
    assert mean["difference"] == pytest.approx(-3 / 8) and mean["outcome"] == "beyond"
    assert compare.verdict([pair]) == (
        f"2 of {CELLS} cells differ: 1 beyond the 95 % interval (mtdnn on RTE -3.00), 1 within"
    )
    assert not compare.agree([pair])
    assert len(compare_tables.printed_cells(pair, differing=True)) == 4  # two cells, two means


def test_within_the_intervals_agrees_unless_exactness_is_asked_for() -> None:
    pair = pair_of(SCORES, altered("bert", "qnli", 0.004, seeds=1))
    assert compare.verdict([pair]).startswith(f"within the intervals: 1 of {CELLS} cells differ")
    assert "bert on QNLI +0.0008" in compare.verdict([pair])
    assert compare.agree([pair]) and not compare.agree([pair], exact=True)


def test_metrics_that_cancel_out_still_differ() -> None:
    scores = SCORES.copy()
    mrpc = (scores["system"] == "bert") & (scores["task"] == "mrpc") & (scores["split"] == "dev")
    scores.loc[mrpc & (scores["metric"] == "f1"), "value"] += 1
    scores.loc[mrpc & (scores["metric"] == "accuracy"), "value"] -= 1
    pair = pair_of(SCORES, scores)
    assert set(outcomes(pair)) == {("bert", "mrpc")}


def test_rows_outside_of_the_cells_are_named() -> None:
    pair = pair_of(SCORES, altered("bert", "rte", 1, split="test"))
    assert outcomes(pair) == {} and compare.agree([pair])
    assert "further rows of first and second" in compare.verdict([pair])
    assert compare.verdict([pair]).endswith("single teachers) 5 differ")
    assert not compare.agree([pair], exact=True)


def test_other_seeds_are_unpaired() -> None:
    pair = pair_of(SCORES, SCORES.assign(seed=SCORES["seed"] + 5))
    assert set(pair.cells["pairing"]) == {"unpaired"}
    assert set(pair.cells["outcome"]) == {"within"}
    assert "5 and 5 unpaired" in set(compare_tables.printed_cells(pair)["Seeds"])
    some = pair_of(SCORES, SCORES[SCORES["seed"] < 4])
    assert set(some.cells["pairing"]) == {"unpaired"}, "not the same seeds"


def test_one_seed_has_no_interval() -> None:
    one = SCORES[SCORES["seed"] == 1]
    pair = pair_of(one, altered("bert", "rte", 0.1, seeds=1)[SCORES["seed"] == 1])
    assert outcomes(pair) == {("bert", "rte"): "beyond"}
    cell = compare_tables.printed_cells(pair, differing=True).iloc[0]
    assert cell["Difference"] == "+0.10" and cell["Seeds"] == "1 paired"


def test_the_paper_is_one_number_per_cell() -> None:
    ours, paper = Source("demo", SCORES), open_source("paper")
    pair = compare.compare_pair(ours, paper)
    assert set(pair.cells["pairing"]) == {"one number"} and pair.improvement == {}
    rte = pair.cells.query("system == 'mtdnn-kd' and task == 'rte'").iloc[0]
    assert rte["value_second"] == 88.6 and rte["n_second"] == 1
    assert rte["difference"] == pytest.approx(88.6 - rte["value_first"])
    assert rte["low"] < rte["difference"] < rte["high"]
    other_way = compare.compare_pair(paper, ours).cells
    assert other_way["difference"].tolist() == pytest.approx((-pair.cells["difference"]).tolist())
    assert "test sets" not in compare.verdict([pair])
    assert any("not levels" in line for line in compare_tables.notes([pair]))


def test_some_systems_and_tasks() -> None:
    few = SCORES[SCORES["system"].isin(["bert", "mtdnn"]) & SCORES["task"].isin(["rte", "cola"])]
    pair = pair_of(SCORES, few)
    assert compare.verdict([pair]).startswith("equal: all 4 cells are the same; ")
    assert "in one alone" in compare.verdict([pair])
    assert pair.tasks == ("cola", "rte") and compare.agree([pair])
    assert not compare.agree([pair], exact=True)


# ---------------------------------------------------------------------------- folders


def test_three_folders_and_their_files(put: Put, tmp_path: Path) -> None:
    first, second = put(SCORES, "a/demo"), put(altered("mtdnn", "rte", -3), "b/demo")
    sources = open_sources([str(first), str(second), "paper"])
    assert [source.label for source in sources] == ["demo", str(second), "paper"]
    pairs = compare.compare(sources)
    written = compare_tables.write_comparison(pairs, tmp_path / "out")
    written += compare_figures.write_figures(sources, pairs, tmp_path / "out")
    names = [path.relative_to(tmp_path / "out").as_posix() for path in written]
    assert names[:2] == ["comparison.csv", "comparison.md"]
    assert names[2:] == [
        f"figures/{name}.{kind}"
        for name in ("overlaid_scores", "differences")
        for kind in ("png", "svg")
    ]
    cells = pd.read_csv(written[0])
    assert len(cells) == CELLS + SYSTEMS + 4 * 8 + 4
    assert compare.verdict(pairs) in written[1].read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_one_folder_is_compared_with_the_committed_demo(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put(SCORES, "results/demo")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-f", "results"], ["commit", "-qm", "demo"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    altered("mtdnn", "rte", -3).to_csv(folder / "scores.csv", index=False)  # a later run
    (pair,) = compare.compare(open_sources(["demo"]))
    assert (pair.first.label, pair.second.label) == ("committed", "demo")
    assert outcomes(pair) == {("mtdnn", "rte"): "beyond"}


def test_without_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(MtkdError, match=r"^committed: git does not give results/demo/scores.csv"):
        open_sources([str(DEMO)])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MtkdError, match=r"name the folder of an untouched copy instead"):
        open_source("committed")


def test_folders_that_are_refused(put: Put, tmp_path: Path) -> None:
    cases = {
        "newer": (SCORES.assign(dataset="x"), "dataset is unknown"),
        "older": (SCORES.drop(columns=["n_examples", "seed"]), "n_examples is missing, seed is"),
        "empty": (SCORES.head(0), "no scores in it"),
        "words": (SCORES.assign(value="high"), "not a number"),
    }
    for name, (scores, message) in cases.items():
        with pytest.raises(MtkdError, match=message) as error:
            open_source(str(put(scores, name)))
        assert name in str(error.value) and "\n" not in str(error.value)
    (tmp_path / "empty" / "scores.csv").write_text("")
    with pytest.raises(MtkdError, match=f"schema {SCHEMA}|no scores in it"):
        open_source(str(tmp_path / "empty"))
    with pytest.raises(MtkdError, match=r"no scores\.csv there"):
        open_source(str(tmp_path))
    with pytest.raises(MtkdError, match="no such folder"):
        open_source("nope")
    assert list(SCORES.columns) == COLUMNS


def test_records_of_another_schema_are_refused(put: Put) -> None:
    folder = put(SCORES)
    (folder / "runs" / "x-s1").mkdir(parents=True)
    (folder / "runs" / "x-s1" / "record.json").write_text(json.dumps({"schema": SCHEMA + 1}))
    with pytest.raises(MtkdError, match=rf"schema {SCHEMA + 1}, this one reads {SCHEMA}"):
        open_source(str(folder))


def test_no_cell_in_common() -> None:
    parts = [SCORES[SCORES["system"] == system] for system in ("bert", "mtdnn")]
    with pytest.raises(MtkdError, match=r"first and second share no cell.*first has bert on cola"):
        pair_of(*parts)


# ---------------------------------------------------------------------------- the command


def test_exit_status(put: Put, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def some(scores: pd.DataFrame) -> pd.DataFrame:
        return scores[scores["system"].isin(["bert", "mtdnn"])]

    base, same = put(some(SCORES), "base"), put(some(SCORES), "same")
    near = put(some(altered("bert", "rte", 0.01, seeds=1)), "near")
    far = put(some(altered("mtdnn", "rte", -3)), "far")

    def call(*words: object) -> tuple[int, str]:
        status = cli.main(["compare", *map(str, words)])
        printed = capsys.readouterr()
        return status, (printed.out or printed.err).strip().splitlines()[-1]

    assert call(base, same, "--exact") == (0, "equal: all 16 cells are the same")
    assert call(base, near)[0] == 0 and call(base, near, "--exact")[0] == 1
    status, line = call(base, far, near, "--output", tmp_path / "out")
    assert status == 1 and line.startswith("2 of 32 cells differ: 1 beyond")
    assert "mtdnn on RTE -3.00" in line
    assert (tmp_path / "out" / "figures" / "differences.svg").is_file()
    status, line = call(base, tmp_path / "none")
    assert status == 1 and line.startswith("mtkd: ") and "no such folder" in line
