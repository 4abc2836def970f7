"""The cells of mtkd/analysis/paper.csv: spot checks by hand and the papers' own cross-checks."""

from __future__ import annotations

import pytest

from mtkd.analysis.paper import read_paper
from mtkd.data import metrics

GLUE_TASKS = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli")
PAPER = read_paper()
KEY = ["table", "system", "task", "split", "metric"]
CELLS = PAPER.set_index(KEY)["value"].to_dict()


def task_scores(table: str, system: str) -> dict[str, dict[str, float]]:
    """A system's printed test scores, as the kit takes them."""
    scores: dict[str, dict[str, float]] = {}
    for (where, who, task, split, metric), value in CELLS.items():
        if (where, who) == (table, system) and task in GLUE_TASKS and split.startswith("test"):
            scores.setdefault(task, {})[metric + split.removeprefix("test")] = value
    return scores


def printed_score(table: str, system: str) -> float:
    return CELLS[table, system, "glue", "test", "score"]


def test_every_cell_is_there_once_in_points_and_verified() -> None:
    assert not PAPER.duplicated(KEY).any() and not PAPER.isna().any(axis=None)
    sizes = PAPER["metric"].isin(["train_size", "dev_size", "test_size", "labels"])
    assert PAPER.loc[~sizes, "value"].between(0, 100, inclusive="neither").all()
    assert (PAPER.loc[sizes, "value"] % 1 == 0).all()
    assert PAPER["note"].str.split(";").str[0].eq("V").all(), "no figure from memory alone"


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (("kd-1", "glue", "rte", "dev", "dev_size"), 276),
        (("kd-2", "mtdnn-kd", "cola", "test", "matthews"), 65.4),
        (("kd-2", "mtdnn-kd", "mnli", "test_mm", "accuracy"), 86.7),
        (("kd-2", "mtdnn-kd", "ax", "test", "r3"), 42.8),
        (("kd-2", "mtdnn-kd", "glue", "test", "score"), 83.7),
        (("kd-2", "human", "wnli", "test", "accuracy"), 95.9),
        (("kd-3", "mtdnn-kd", "rte", "dev", "accuracy"), 88.6),
        (("kd-3", "mtdnn-kd", "mnli", "dev_mm", "accuracy"), 87.3),
        (("kd-3", "bert", "stsb", "dev", "spearman"), 89.3),
        (("mtdnn-2", "mtdnn", "glue", "test", "score"), 82.7),
        (("mtdnn-3", "mtdnn", "qnli-v1", "dev", "accuracy"), 97.4),
        (("mtdnn-4", "mtdnn-base", "snli@0.1%", "dev", "accuracy"), 82.1),
        (("mtdnn-5", "mtdnn", "scitail", "test", "accuracy"), 95.0),
        (("stilts", "stilts-bert", "rte", "dev", "accuracy"), 84.1),
    ],
)
def test_spot_checks(cell: tuple[str, str, str, str, str], value: float) -> None:
    assert CELLS[cell] == value


def test_dashes_have_no_row() -> None:
    for system in ("mtdnn", "stilts-gpt"):
        assert ("kd-2", system, "qnli", "test", "accuracy") not in CELLS
    for table in ("kd-2", "mtdnn-2"):
        assert (table, "human", "ax", "test", "r3") not in CELLS


def test_pairs_of_metrics_are_not_swapped() -> None:
    """QQP's dev prints accuracy/F1 and test F1/accuracy; MRPC has F1 first: by size they agree."""
    for key in (key for key in CELLS if key[4] == "f1"):
        higher = CELLS[key] > CELLS[(*key[:4], "accuracy")]
        assert higher == (key[2] == "mrpc"), key


def test_dev_rows_shared_by_both_papers_agree() -> None:
    for system in ("bert", "mtdnn"):
        ours = {k[2:]: v for k, v in CELLS.items() if k[:2] == ("kd-3", system)}
        theirs = {k[2:]: v for k, v in CELLS.items() if k[:2] == ("mtdnn-3", system)}
        theirs = {k: v for k, v in theirs.items() if k[0] != "qnli-v1"}
        assert ours == theirs


@pytest.mark.parametrize(
    ("table", "system", "recomputed", "rounding"),
    [
        ("kd-2", "bert", 80.52, True),
        ("kd-2", "metal", 83.19, True),
        ("kd-2", "alice", 83.33, True),
        ("kd-2", "human", 87.05, True),
        ("mtdnn-2", "bert", 80.52, True),
        ("mtdnn-2", "mtdnn-noft", 81.72, True),
        ("mtdnn-2", "mtdnn", 82.67, True),
        ("mtdnn-2", "human", 87.05, True),
        # The paper's score is further from its own cells than rounding both to a tenth allows.
        ("kd-2", "bilstm-elmo", 70.52, False),
        ("kd-2", "mtdnn-kd", 83.82, False),
    ],
)
def test_glue_score_follows_from_the_cells(
    table: str, system: str, recomputed: float, rounding: bool
) -> None:
    scores = task_scores(table, system)
    assert set(scores) == set(GLUE_TASKS)
    assert metrics.glue_score(scores) == pytest.approx(recomputed, abs=0.006)
    assert (abs(metrics.glue_score(scores) - printed_score(table, system)) < 0.06) == rounding


@pytest.mark.parametrize(
    ("system", "low", "high"), [("mtdnn", 97.95, 98.85), ("stilts-gpt", 86.6, 87.5)]
)
def test_rows_with_a_dash_imply_qnli_v1(system: str, low: float, high: float) -> None:
    """The printed score needs a QNLI result in this interval: it was counted, and it is v1."""
    scores = task_scores("kd-2", system)
    assert set(GLUE_TASKS) - set(scores) == {"qnli"}
    total, printed = 8 * metrics.glue_score(scores), printed_score("kd-2", system)
    needed = [9 * (printed + half) - total for half in (-0.05, 0.05)]
    assert needed == pytest.approx([low, high], abs=0.06)


def test_stilts_score_follows_from_its_table() -> None:
    cells = PAPER[(PAPER["table"] == "stilts") & (PAPER["split"] == "test")].set_index("task")
    tasks = cells["value"].drop("glue")
    assert len(tasks) == 9 and tasks.mean() == pytest.approx(cells["value"]["glue"], abs=0.05)


def test_dev_means_of_table_3() -> None:
    """Means over eight dev tasks (not printed in the paper): the order of the four systems."""
    cells = PAPER[PAPER["table"] == "kd-3"]
    means = cells.groupby(["system", "task"])["value"].mean().groupby("system").mean().round(2)
    assert means.to_dict() == {"bert": 83.96, "mtdnn": 86.43, "mtdnn-kd": 87.68, "ensemble": 87.84}
