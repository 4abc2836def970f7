"""Study `heads`: pair heads and task sampling, in multi-task training without teachers."""

from __future__ import annotations

from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.study import Factor, Study, Variant, register_study


@register_study("heads", group="ablations")
def heads(recipe: Recipe) -> Study:
    own, sampling = recipe.heads, recipe.training.mixing
    run = f"{recipe.encoder}-d{recipe.dropout:g}"

    def variant(name: str, title: str, *changes: str, **factors: Factor) -> Variant:
        # The scores are those before fine-tuning, so variants leave it out
        given = (*changes, "finetuning.epochs=0") if changes else ()
        return Variant(name, title, "mtdnn-noft", "mtdnn", run, given, factors, tasks=())

    san = own.pair == "san"
    title = f"SAN, {own.san_steps} steps" if san else "linear heads"
    steps = own.san_steps if san else 0
    variants = [variant("recipe", f"{title}, {sampling} mixing", san_steps=steps, mixing=sampling)]
    if san:
        linear = variant("linear", "linear heads", "heads.pair=linear", san_steps=0)
        variants.append(linear)
    for k in (1, 2, 5, 10):
        if k != steps:
            title, changes = f"SAN, {k} step{'s' if k > 1 else ''}", f"heads.san_steps={k}"
            variants.append(variant(f"san-{k}", title, "heads.pair=san", changes, san_steps=k))
    for law in ("proportional", "power", "uniform", "annealed"):
        if law != sampling:
            change = f"training.mixing={law}"
            variants.append(variant(law, f"{law} mixing", change, mixing=law))
    return Study(
        "Heads and mixing",
        "Does the SAN answer module beat a linear layer, and does the mixing law matter? No "
        "teacher takes part.",
        "See whether any interval leaves out zero.",
        tuple(variants),
        reference="recipe",
    )
