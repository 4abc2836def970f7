"""The systems that MT-DNN is compared with: auxiliary signals, slices, and their tables."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit
from test_tables import SCORES, TASKS, results, row

from mtkd.analysis import baseline_tables, tables
from mtkd.data.loading import DataSource, load_examples
from mtkd.data.metrics import glue_score
from mtkd.data.tasks import GLUE, Examples, scored_as
from mtkd.experiments.records import Record, Score, collect
from mtkd.experiments.systems import metal_slices as auxiliary
from mtkd.experiments.systems.metal import mean_outputs

TEXT = st.text("ab c?", max_size=30)


def pairs(first: list[str], second: list[str]) -> Examples:
    return Examples(GLUE["rte"], "train", np.arange(len(first)), first, second, None)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("The cat sat.", "the CAT sat", 1.0),
        ("the cat sat", "the cat", math.exp(1 - 3 / 2)),  # precision 1, too short
        ("the cat", "the the the cat", 2 / 4),  # "the" counts once: clipped
        ("a b c d", "a x c y", 2 / 4),
        ("a b", "c d", 0.0),
        ("", "a", 0.0),
        ("a", "?!", 0.0),
    ],
)
def test_overlap_is_unigram_bleu(first: str, second: str, expected: float) -> None:
    assert auxiliary.overlap(first, second) == pytest.approx(expected)


@given(TEXT, TEXT)
def test_overlap_is_a_share(first: str, second: str) -> None:
    assert 0 <= auxiliary.overlap(first, second) <= 1
    if auxiliary.WORD.search(first):
        assert auxiliary.overlap(first, first) == 1


def test_slices_by_either_text() -> None:
    some = pairs(["Is it so?", "He knows.", "They don't.", "A note"], ["Yes", "Why?", "b", "Not x"])
    assert auxiliary.slice_rows(some, "question").tolist() == [0, 1]
    assert auxiliary.slice_rows(some, "negation").tolist() == [2, 3]  # "note", "knows" are none
    assert auxiliary.slices_of(some) == {}  # too few for a head
    many = pairs(["no"] * 20 + ["yes"] * 20, ["a?"] * 40)
    assert list(auxiliary.slices_of(many)) == ["negation"]  # every example is a question: no slice


def test_two_heads_answer_with_their_mean_probability() -> None:
    first, second = np.log([[0.9, 0.1]]), np.log([[0.2, 0.8]]) + 3  # logits up to a constant
    assert np.exp(mean_outputs(first, second, "classification")) == pytest.approx(
        np.array([[0.55, 0.45]])
    )
    assert mean_outputs(np.array([[1.0]]), np.array([[4.0]]), "regression").tolist() == [[2.5]]
    several = mean_outputs(logit([[0.9, 0.2]]), logit([[0.5, 0.4]]), "multilabel")
    assert several == pytest.approx(logit([[0.7, 0.3]]), rel=1e-5)


def test_the_diagnostic_set_is_stored_under_its_own_name() -> None:
    assert scored_as("mnli", "ax") == ("ax", "test")
    assert scored_as("mnli", "dev_mm") == ("mnli", "dev_mm")
    assert GLUE["ax"].labels == GLUE["mnli"].labels  # one head can answer both
    assert len(load_examples(DataSource(), "ax", "test")) > 0


# ---------------------------------------------------------------------------- tables


def as_test(record: Record, ax: float) -> Record:
    """A record whose dev scores are test scores, and one of AX."""
    moved = [replace(score, split=score.split.replace("dev", "test")) for score in record.scores]
    diagnostic = Score(record.scores[0].system, "ax", "test", "matthews", ax, 50)
    return replace(record, scores=(*moved, diagnostic))


def test_test_scores_with_diagnostic_and_wnli() -> None:
    records = [as_test(r, 30.0) for r in results(5, systems=("mtdnn", "metal", "metal-ensemble"))]
    wnli = (Score("majority", "wnli", "test", "accuracy", 65.0, 100),)
    scores = collect([*records, replace(records[0], run_id="g", seed=0, scores=wnli)])
    table = tables.printed(tables.score_values(scores, "test"))
    ours = row(table, "MT-DNN")
    assert ours["Mean of 8"].startswith("72.0 [") and ours["AX"].startswith("30.0")
    # Nine tasks: eight at the mean of 72 and WNLI's majority class; the kit's own score agrees.
    nine = {task: dict.fromkeys(GLUE[task].metrics, 72.0) for task in TASKS}
    expected = glue_score(nine | {"wnli": {"accuracy": 65.0}})
    assert ours["Mean of 9"].startswith(f"{expected:.1f} [")
    assert "MT-DNN-KD (paper)" not in set(table["System"])  # the paper's row stands under ours only
    assert "MeTaL-style (paper)" not in set(table["System"])  # the published one is an ensemble
    metal = row(table, "MeTaL-style ensemble (paper)")
    assert metal["Mean of 9"] == "83.2" and metal["RTE"] == "80.9"
    assert row(table, "Human performance (paper)")["Mean of 9"] == "87.1"
    assert row(table, "GPT on STILTs (paper)")["QNLI"] == "-"
    assert len(tables.score_values(SCORES, "test")) == 0, "no test labels, no test table"


def test_stilts_by_intermediate_task() -> None:
    bert = results(5, systems=("bert",))
    records = [*bert]
    for system in ("stilts-mnli", "stilts-qqp"):
        for r in bert:
            own = tuple(replace(s, system=system, value=s.value + 2) for s in r.scores)
            records.append(replace(r, run_id=r.run_id + system, scores=own))
    table = tables.printed_gains(baseline_tables.stilts(collect(records)))
    assert table["System"].tolist() == ["BERT on STILTs, QQP", "BERT on STILTs, MNLI"]
    assert set(table["RTE"]) == set(table["Mean of 8"]) == {"+2.0 [+2.0, +2.0]"}
    (qnli,) = baseline_tables.qnli(collect(bert)).to_dict("records")
    assert (qnli["task"], qnli["value"], qnli["n"]) == ("dev", 70, 5)


def test_averages_over_seeds() -> None:
    rows = [("bert", "RTE negation (40)", value) for value in (61.0, 62.0, 63.0, np.nan)]
    found = tables.averages(pd.DataFrame(rows, columns=["system", "task", "value"]))
    table = tables.printed(found, {"RTE negation (40)": "negation"}, names={"bert": "B"}, first="?")
    assert table.to_dict("records") == [{"?": "B", "negation": "62.0 [59.5, 64.5]", "Seeds": "3"}]
