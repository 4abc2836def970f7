"""Single-task BERT: one model per task, no sharing (row `bert`), and QNLI also by ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtkd.common.progress import Progress
from mtkd.data.batches import TaskData
from mtkd.experiments.context import RunContext, read_examples
from mtkd.experiments.inputs import Splits, load_data, ranking_rows, total_steps
from mtkd.experiments.records import Outcome
from mtkd.experiments.systems.averages import average_scores
from mtkd.experiments.systems.baselines import register_baseline
from mtkd.experiments.trainings import Setup, combine, single_task
from mtkd.method.settings import HeadSpec

if TYPE_CHECKING:
    from mtkd.experiments.runs import Outline, Run
    from mtkd.experiments.systems.baselines import Baseline


def plan_bert(outline: Outline, seed: int, baseline: Baseline) -> list[Run]:
    settings = outline.single | {"qnli_ranking": outline.recipe.heads.qnli != "ranking"}
    return [baseline.run(outline, seed, settings)]


@register_baseline("bert", plan_bert)
def train_bert(context: RunContext) -> Outcome:
    """Train one model per task; QNLI also by ranking each question's candidates."""
    recipe = context.recipe
    tokenizer, data = load_data(context, recipe.encoder)
    ranked = ranking_data(context, data)
    steps = total_steps(data, recipe.single_stage, alone=True)
    steps += total_steps(ranked, recipe.single_stage, alone=True)
    with Progress(steps, "bert") as progress:
        setup = Setup(context, tokenizer, progress)
        parts = [single_task(setup, "bert", task, data[task]) for task in context.tasks]
        for task, splits in ranked.items():
            known = recipe.task(task)
            spec = HeadSpec("ranking", known.labels, known.dropout)
            parts.append(single_task(setup, "qnli-ranking", task, splits, spec=spec))
    scores, details = combine(parts)
    if ranked:
        # KD Table 2: QNLI's ranking and classification outputs are merged on the test set.
        members = [(context.run.run_id, system) for system in ("bert", "qnli-ranking")]
        scores += average_scores(context, "qnli-merged", members, {"qnli": data["qnli"]})
        details["qnli_questions"] = ranked["qnli"]["train"].units
    return scores, details


def ranking_data(context: RunContext, data: dict[str, Splits]) -> dict[str, Splits]:
    """QNLI's questions with their candidates together; nothing where no question can be ranked."""
    if "qnli" not in data or context.recipe.heads.qnli == "ranking":
        return {}
    splits = {}
    for split, item in data["qnli"].items():
        rows = ranking_rows(read_examples(context, "qnli", split))
        splits[split] = TaskData(item.encoded, None, rows)
    return {"qnli": splits} if splits["train"].units else {}
