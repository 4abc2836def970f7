"""A recipe's questions, answered: does one system score higher than another, and how sure is it?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
import pandas as pd

from mtkd.analysis.charts import rows_figure
from mtkd.analysis.comparisons import (
    MEAN,
    Comparison,
    compare,
    numbers,
    over_both,
    over_seeds,
    printed_p,
    said,
    scores_of,
)
from mtkd.analysis.evaluations import dev_labels
from mtkd.analysis.paired_examples import holm
from mtkd.analysis.results import Results
from mtkd.analysis.statistics import LEVEL
from mtkd.analysis.systems import system_title
from mtkd.analysis.tables import GAIN, OURS, UNCLEAR, cell, decimal, row_of, verdict
from mtkd.analysis.views import View
from mtkd.experiments.settings import Question, Recipe
from mtkd.experiments.studies.registry import find_variant

READING = (
    "A difference is that of the mean dev scores, in points, on the same examples and seeds, with "
    "its 95 % interval over dev examples and seeds together: the paired bootstrap over examples "
    "and the spread over seeds, by Student's t. Beside it Student's t over the seeds alone."
)
TESTS = (
    "The questions stand in the recipe. p is adjusted for their number (Holm); a gain or a loss is "
    "one where it is below 5 % and the interval leaves out zero."
)
VISIBLE = (
    "Smallest visible: the true difference that these examples and seeds show in four of five "
    "cases, by its interval alone; after Holm's adjustment it is larger."
)


@dataclass(frozen=True)
class Answer:
    """A question with what the finished runs say; as text, question and answer."""

    question: Question
    found: Comparison | None  # None: no finished runs of both, of one seed
    p: float = 1.0  # adjusted for the number of questions

    @property
    def word(self) -> str:
        """A gain, a loss, no clear difference, or nothing."""
        if self.found is None:
            return ""
        word = verdict(row_of("", OURS, MEAN, over_both(self.found.mean)))
        return word if self.p < 1 - LEVEL else UNCLEAR

    def __str__(self) -> str:
        ask, found = self.question.ask, self.found
        if found is None:
            return f"{ask} Not known: there are no finished runs of both, of one seed."
        if self.word != UNCLEAR:
            return f"{ask} {'Yes' if self.word == GAIN else 'No, it loses'}: {said(found)}."
        low, high = found.mean.interval
        if low * high > 0:  # clear if it were the only question
            return (
                f"{ask} Not clear among so many questions (p = {printed_p(self.p)} after Holm's "
                f"adjustment): {said(found)}."
            )
        most = decimal(high, 1, False)
        return f"{ask} {UNCLEAR.capitalize()}: {said(found)}; at most a gain of {most}."


def answers(results: Results) -> list[Answer]:
    """The recipe's questions in their order. Raises MtkdError where predictions are missing."""
    asked, gold = results.recipe.questions, dev_labels(results)
    names = dict.fromkeys(name for one in asked for name in (one.system, one.against))
    scores = {name: scores_of(results, name, gold) for name in names}
    found = [compare(scores[one.system], scores[one.against], one.against) for one in asked]
    adjusted = iter(holm([one.mean.p for one in found if one is not None]))
    return [
        Answer(question, one, 1.0 if one is None else next(adjusted))
        for question, one in zip(asked, found, strict=True)
    ]


def questions_view(recipe: Recipe, found: Sequence[Answer]) -> View:
    """All questions in one table and one forest plot; empty without any that has an answer."""
    values = pd.DataFrame(row for place, one in enumerate(found) for row in rows(place, one))
    asked = {
        str(place): f"{fill(one.question.ask, 42)}\n{one.word}"
        for place, one in enumerate(found)
        if one.found
    }
    words = {MEAN: "difference of the mean dev scores, points"}
    return View(
        "questions",
        "What was asked, and what came out",
        "Each dot is the mean difference over seeds, a fine tick one seed, a bar the 95 % interval "
        "over seeds and dev examples. The words below a question judge all of them together: one "
        "of several bars can miss zero by chance.",
        (READING, TESTS, VISIBLE),
        pd.DataFrame(printed(one, recipe) for one in found if one.found),
        values,
        None
        if values.empty
        else rows_figure(values, asked, words, row="question", height=0.6, zero=True),
    )


def rows(place: int, answer: Answer) -> Iterator[dict[str, object]]:
    """Numbers of a question by task, and of the mean: columns as `comparisons.numbers`."""
    if answer.found is None:
        return
    for task, one in {**answer.found.tasks, MEAN: answer.found.mean}.items():
        yield numbers(answer.question.system, task, one) | {
            "question": str(place),
            "against": answer.question.against,
            "p": answer.p if task == MEAN else one.p,
        }


def printed(answer: Answer, recipe: Recipe) -> dict[str, str]:
    """A row of the table."""
    assert answer.found is not None
    question, mean = answer.question, answer.found.mean
    score, other = np.mean(list(mean.scores.values()), axis=0)
    both, alone = (row_of("", OURS, MEAN, of(mean)) for of in (over_both, over_seeds))
    return {
        "Question": question.ask,
        "System": f"{title(question.system, recipe)} {decimal(score, 1, False)}",
        "Against": f"{title(question.against, recipe)} {decimal(other, 1, False)}",
        "Difference": cell(both, signed=True),
        "Over seeds alone": cell(alone, signed=True),
        "Seeds": str(len(mean.points)),
        "p": printed_p(answer.p),
        "Smallest visible": decimal(mean.visible(), 1, False),
        "Verdict": answer.word,
    }


def title(name: str, recipe: Recipe) -> str:
    """Of a system, or of a study's variant."""
    variant = find_variant(recipe, name)
    return variant[1].title if variant else system_title(name)
