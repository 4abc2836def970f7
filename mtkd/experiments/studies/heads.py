"""Study `heads`: pair heads and task sampling, in multi-task training without teachers."""

from __future__ import annotations

from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.study import Factor, Study, Variant, register_study
from mtkd.method.settings import SAN_STEPS


@register_study("heads", group="ablations")
def heads(recipe: Recipe) -> Study:
    own, sampling = recipe.heads, recipe.training.task_sampling
    run = f"{recipe.encoder}-d{recipe.dropout:g}"

    def variant(name: str, title: str, *changes: str, **factors: Factor) -> Variant:
        # The scores are those before fine-tuning, so variants leave it out
        given = (*changes, "finetuning.epochs=0") if changes else ()
        return Variant(name, title, "mtdnn-noft", "mtdnn", run, given, factors, tasks=())

    san = own.pair == "san"
    steps = own.options.get("steps", SAN_STEPS) if san else 0
    title = f"SAN, {steps} steps" if san else "linear heads"
    variants = [
        variant("recipe", f"{title}, {sampling} sampling", san_steps=steps, sampling=sampling)
    ]
    if san:
        to_linear = ("heads.pair=linear", "heads.options={}")
        variants.append(variant("linear", "linear heads", *to_linear, san_steps=0))
    to_san = () if san else ("heads.pair=san", "heads.options={}")
    for k in (1, 2, 5, 10):
        if k != steps:
            title, changes = f"SAN, {k} step{'s' if k > 1 else ''}", f"heads.options.steps={k}"
            variants.append(variant(f"san-{k}", title, *to_san, changes, san_steps=k))
    for law in ("proportional", "power", "uniform", "annealed"):
        if law != sampling:
            change = f"training.task_sampling={law}"
            variants.append(variant(law, f"{law} sampling", change, sampling=law))
    return Study(
        "Heads and task sampling",
        "Does the SAN answer module beat a linear layer, and does task sampling matter? No "
        "teacher takes part.",
        "See whether any interval leaves out zero.",
        tuple(variants),
        reference="recipe",
    )
