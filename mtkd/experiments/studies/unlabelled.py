"""Study `unlabelled`: more text, labelled by the teachers alone, when labels are few or many."""

from __future__ import annotations

from dataclasses import replace

from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.study import (
    Axis,
    Comparison,
    Factor,
    Study,
    Variant,
    counterparts,
    register_study,
    student,
)

TEXT, LABELS, NOBODY = "unlabelled text", "labels again", "labels again, no teacher"
FRACTION, AMOUNT = "fraction of labels", "amount"


@register_study("unlabelled")
def unlabelled(recipe: Recipe) -> Study:
    """Each amount of text has two variants beside it that see labelled examples in its place."""
    asked = recipe.unlabelled
    variants: list[Variant] = []
    for fraction in asked.fractions:
        for amount in asked.ratios:
            # The same teachers for every amount of text; with all labels and none of it, the main
            # table's.
            whole = recipe.data.label_fraction == 1 and not recipe.data.unlabelled_ratio
            own = whole and fraction == 1 and not amount
            most = f"data.unlabelled_ratio={max(asked.ratios)}"
            pool = (f"data.label_fraction={fraction}", most)
            variants += of_amount(recipe, fraction, amount, () if own else pool)
    none = counterparts(variants, {"more": TEXT}, amount=0.0)
    none |= counterparts(variants, {"more": NOBODY}, amount=0.0)  # what repeating them costs
    return Study(
        "Unlabelled text",
        "Does text help that nobody but the teachers has labelled, and more so where labels are "
        "few?",
        "See whether text lies above labels again, which are as many examples.",
        tuple(variants),
        reference_title="no teacher",
        comparisons=(
            Comparison("no more examples", none),
            Comparison(
                "the labelled examples again", counterparts(variants, {"more": TEXT}, more=LABELS)
            ),
        ),
        curve=Axis("additional examples, x training set", AMOUNT, lines="more", panels=FRACTION),
        budget="A variant and what it is compared with see as many examples of every task. Text is "
        "counted in multiples of a task's training examples, or is all there is. The study "
        "`generations` shows the seed noise.",
    )


def of_amount(
    recipe: Recipe, fraction: float, amount: float, changes: tuple[str, ...]
) -> list[Variant]:
    """Students of some labels: with some text, and with labelled examples in its place."""
    place, labels = f"s{fraction:g}-u{amount:g}", f"{100 * fraction:g} % of the labels"
    plain = f"none-{place}"

    def variant(name: str, more: str, without: str, **how: Factor) -> Variant:
        title = f"{labels}, {amount:g} x {more}" if amount else f"{labels}{without}"
        seen: dict[str, Factor] = {"unlabelled_ratio": amount} if amount else {}
        seen |= {"repeat_labelled": True} if amount and more != TEXT else {}
        factors: dict[str, Factor] = {FRACTION: fraction, AMOUNT: amount, "more": more}
        made = student(recipe, name, title, *changes, factors=factors, **how, **seen)
        return replace(made, reference=plain)

    text = variant(place, TEXT, "")
    nobody = variant(plain, NOBODY, ", no teacher", hard_weight=1.0)
    return [nobody, text, variant(f"again-{place}", LABELS, "")] if amount else [nobody, text]
