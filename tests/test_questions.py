"""A recipe's questions: refused where nothing can answer them, else answered by the runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_verdict import made_of, made_up

from mtkd.analysis.comparisons import Comparison
from mtkd.analysis.main_views import main_views
from mtkd.analysis.paired_examples import mean_difference
from mtkd.analysis.questions import Answer, answers, questions_view
from mtkd.common.errors import MtkdError
from mtkd.experiments.plans import expand
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.settings import Question

TAUGHT = Question("Do teachers help?", "mtdnn-kd", "no-teacher")
WORSE = Question("Is the student better than its teachers?", "mtdnn-kd", "ensemble")
SELF = Question("Is it better than itself?", "crossfit/in-sample", "mtdnn-kd")
NEVER = Question("Are unseen examples better?", "crossfit/cross-fitted", "crossfit/in-sample")


def answered(value: float, error: float, p: float) -> str:
    one = made_up({1: value, 2: value, 3: value}, error)
    mean = mean_difference([one])
    assert mean is not None
    return str(Answer(TAUGHT, Comparison("no-teacher", {"rte": one}, mean), p))


def test_an_answer_is_by_interval_and_adjusted_p() -> None:
    assert answered(1.0, 0.2, 0.001).startswith("Do teachers help? Yes: +1.0 [+0.6, +1.4] points")
    assert answered(-1.0, 0.2, 0.001).startswith("Do teachers help? No, it loses: -1.0 [")
    unclear = answered(0.2, 0.5, 0.7)  # up to 0.2 + 1.96 / 2
    assert "No clear difference: +0.2 [-0.8, +1.2]" in unclear
    assert "at most a gain of 1.2" in unclear
    many = answered(1.0, 0.2, 0.06)  # too many questions
    assert "Not clear among so many questions (p = 0.060 after Holm" in many
    assert "Not known" in str(Answer(TAUGHT, None))


def test_answers_from_stored_predictions(tmp_path: Path) -> None:
    changes = ["tasks=[rte,stsb]", "seeds=[1,2,3]", "baselines=[bert]", "studies=[crossfit]"]
    recipe = replace(load_recipe("smoke", changes), questions=(TAUGHT, WORSE, SELF, NEVER))
    results = made_of(recipe, tmp_path)
    taught, worse, same, never = answers(results)
    assert taught.word == "gain" and worse.word == "no clear difference" and never.found is None
    assert same.found is not None and set(same.found.mean.points.values()) == {0.0}
    alone = [one.found.mean.p for one in (taught, worse, same) if one.found]
    assert taught.p == pytest.approx(3 * min(alone)) and worse.p >= alone[1]
    views = main_views(results)
    assert views["headline"].notes[:4] == tuple(map(str, (taught, worse, same, never)))
    table = questions_view(recipe, [taught, worse, same, never]).table
    assert table is not None and list(table["Question"]) == [TAUGHT.ask, WORSE.ask, SELF.ask]
    own = [np.mean([score for score, _ in taught.found.mean.scores.values()])]  # type: ignore[union-attr]
    assert table["System"][0] == f"MT-DNN-KD {own[0]:.1f}"


@pytest.mark.parametrize("name", ["mtdnn-kdd", "crossfit/in-sample"])
def test_unknown_systems_are_refused_before_anything_runs(name: str) -> None:
    asked = f"questions=[{{ask: 'Better?', system: mtdnn-kd, against: {name}}}]"
    with pytest.raises(MtkdError, match=f"questions.0..against: '{name}' is no system"):
        expand(load_recipe("smoke", [asked]))


def test_unknown_variants_are_refused() -> None:
    asked = "questions=[{ask: 'Better?', system: mtdnn-kd, against: crossfit/none-such}]"
    with pytest.raises(MtkdError, match="study crossfit has no variant 'none-such'"):
        expand(load_recipe("smoke", [asked, "studies=[crossfit]"]))


def test_questions_change_no_run() -> None:
    asked = "questions=[{ask: 'Better?', system: mtdnn-kd, against: mtdnn}]"
    ids = [[run.run_id for run in expand(load_recipe("smoke", more))] for more in ([], [asked])]
    assert ids[0] == ids[1]
