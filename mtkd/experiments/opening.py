"""Open a run by name, as its notebook does."""

from __future__ import annotations

from mtkd.common.errors import MtkdError
from mtkd.experiments.context import RunContext
from mtkd.experiments.plans import find_run
from mtkd.experiments.recipes import open_recipe
from mtkd.experiments.records import current_record
from mtkd.experiments.studies.registry import variant_recipe
from mtkd.experiments.task_sets import present_tasks


def open_run(
    recipe: str, stage: str, variant: str | None, seed: int, study_variant: str = ""
) -> RunContext:
    """The run of a notebook: of the recipe itself, or of a variant of a study ("targets/w0-t2").

    Raises MtkdError if there is no such run, or if what it rests on is missing or stale.
    """
    resolved, results = open_recipe(recipe)
    if study_variant:
        resolved, _ = variant_recipe(resolved, study_variant)
    run = find_run(resolved, stage, variant, seed)
    if current_record(results, run) is None:
        for parent in run.parents:
            if current_record(results, parent) is None:
                values = ", ".join(f"{key}={value!r}" for key, value in parent.parameters.items())
                raise MtkdError(
                    f"{run.run_id} needs {parent.run_id}, which is not there or was made by other "
                    f"code: run `mtkd reproduce --recipe {resolved.name} --until {parent.stage}`, "
                    f"or open notebooks/{parent.notebook}.ipynb with {values}"
                )
    return RunContext(resolved, run, results, present_tasks(resolved))
