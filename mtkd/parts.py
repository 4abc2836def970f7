"""The kinds of training that runs are made of: multi-task, single-task, per-task fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtkd.batches import TaskData
from mtkd.model import MultiTaskModel
from mtkd.progress import Progress
from mtkd.runs import Run
from mtkd.settings import Distillation, HeadSpec, Training
from mtkd.workbench import OpenRun, Splits, new_model, recipe_heads, train_part


@dataclass(frozen=True)
class Bench:
    """What every training of a run needs."""

    opened: OpenRun
    tokenizer: Any
    progress: Progress


def multi_task(
    bench: Bench,
    system: str,
    encoder: str,
    dropout: float,
    data: dict[str, Splits],
    *,
    training: Training | None = None,
    distillation: Distillation | None = None,
    extra: Mapping[str, TaskData] | None = None,
    with_train: bool = False,
) -> dict[str, Any]:
    """Train one multi-task model, save it, store its predictions on dev and test (and train).

    A candidate for MT-DNN; with `distillation`, and a `training` of its own, a student, which may
    learn from `extra` text, too.
    """
    opened, recipe = bench.opened, bench.opened.recipe
    return train_part(
        opened,
        system,
        data,
        lambda: new_model(opened, encoder, dropout, recipe_heads(opened, opened.tasks)),
        training or recipe.training,
        bench.tokenizer,
        bench.progress,
        opened.model_folder,
        distillation=distillation,
        twin=distillation.twin_of if distillation else None,
        extra=extra,
        with_train=with_train,
    )


def single_task(
    bench: Bench,
    system: str,
    task: str,
    splits: Splits,
    spec: HeadSpec | None = None,
    start: Path | None = None,
    twin: str | None = None,
) -> dict[str, Any]:
    """Train one task alone; `spec` is another head than the recipe's, `start` another model.

    The shared layers start from the recipe's encoder, or from those of the model in `start`. The
    random numbers are those of the system, or of its `twin`.
    """
    opened, recipe = bench.opened, bench.opened.recipe
    specs = {task: spec} if spec else recipe_heads(opened, [task])

    def build() -> MultiTaskModel:
        if start is None:
            return new_model(opened, recipe.encoder, recipe.dropout, specs)
        return MultiTaskModel(MultiTaskModel.from_pretrained(start).encoder, specs)

    settings = recipe.single_stage
    return train_part(
        opened,
        system,
        {task: splits},
        build,
        settings,
        bench.tokenizer,
        bench.progress,
        twin=twin,
    )


def finetune(bench: Bench, parent: Run, system: str, task: str, splits: Splits) -> dict[str, Any]:
    """Fine-tune a run's multi-task model on one task; predictions on train are stored, too."""
    opened, recipe = bench.opened, bench.opened.recipe
    folder = opened.results / "models" / parent.run_id

    def build() -> MultiTaskModel:
        model = MultiTaskModel.from_pretrained(folder)
        single = MultiTaskModel(model.encoder, {task: model.specs[task]})
        if not recipe.fresh_heads:
            single.heads[task] = model.heads[task]
        return single

    return train_part(
        opened,
        system,
        {task: splits},
        build,
        recipe.finetuning,
        bench.tokenizer,
        bench.progress,
        with_train=True,
        origin=parent.what,
    )
