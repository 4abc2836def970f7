"""What soft targets say at other temperatures, weights and choices of teachers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipywidgets import FloatLogSlider, HBox, SelectMultiple, VBox
from scipy.special import softmax
from sklearn.metrics import accuracy_score

from mtkd.analysis import playground
from mtkd.analysis.evaluations import Outputs
from mtkd.analysis.playground import mixed
from mtkd.analysis.plotting import Plot
from mtkd.analysis.teacher_outputs import Heard
from mtkd.common.errors import MtkdError
from mtkd.data.tasks import GLUE

DRAWN = np.random.default_rng(0)
LABEL = DRAWN.integers(0, 2, 50)


def heard(name: str, task: str = "rte") -> Heard:
    values = DRAWN.normal(size=(50, 2)).astype(np.float32)
    return Heard(name, Outputs(GLUE[task], 1, values, LABEL))


TEACHERS = [heard("a"), heard("b"), heard("c")]


@given(st.floats(0.1, 10), st.floats(0, 1))
def test_targets_are_the_papers_and_a_weight_draws_them_to_the_labels(
    temperature: float, weight: float
) -> None:
    found = mixed(TEACHERS, temperature, weight)
    soft = np.mean([softmax(one.outputs.values / temperature, -1) for one in TEACHERS], 0)
    expected = weight * np.eye(2)[LABEL] + (1 - weight) * soft
    np.testing.assert_allclose(found.targets, expected, atol=1e-5)
    assert found.score == pytest.approx(100 * accuracy_score(LABEL, soft.argmax(-1)))
    assert mixed(TEACHERS, 2 * temperature).entropy > mixed(TEACHERS, temperature).entropy - 1e-6


def test_what_cannot_be_shown_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MtkdError, match="no teacher is chosen"):
        mixed([])
    with pytest.raises(MtkdError, match="STS-B: expected a task with one class"):
        mixed([heard("a", "stsb")])
    assert playground.play([heard("a", "stsb")]) is None
    assert "No task of these teachers" in capsys.readouterr().out


def test_sliders_where_somebody_can_move_them_and_a_figure_where_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(playground, "headless", lambda: True)
    assert isinstance(playground.play(TEACHERS), Plot)
    monkeypatch.setattr(playground, "headless", lambda: False)
    box = playground.play([*TEACHERS, heard("z", "cola")])
    assert isinstance(box, VBox) and isinstance(box.children[0], HBox)
    knobs, teachers = box.children[0].children
    assert isinstance(teachers, SelectMultiple) and teachers.value == ("a", "b", "c", "z")
    assert isinstance(knobs.children[1], FloatLogSlider) and knobs.children[1].value == 1
