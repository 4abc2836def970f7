"""Teachers: chosen among the candidates, fine-tuned, heard through their stored predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mtkd.common.progress import Progress
from mtkd.data.tasks import GLUE
from mtkd.experiments import records
from mtkd.experiments.context import (
    OpenRun,
    Splits,
    finish,
    load_data,
    prediction_file,
    run_folder,
    total_steps,
)
from mtkd.experiments.records import Record, Score, Stopwatch
from mtkd.experiments.runs import pool_of, selection_tasks
from mtkd.experiments.settings import Teachers
from mtkd.experiments.trainings import Bench, combine, finetune, store
from mtkd.method import targets


def train_teachers(opened: OpenRun) -> Record:
    """Choose the best candidates, fine-tune each on every task, average them (row `ensemble`)."""
    if opened.done:
        return records.read_record(opened.folder)
    watch, recipe = Stopwatch(), opened.recipe
    ranking = rank_candidates(opened)
    chosen = choose(ranking, recipe.teachers, opened.run.seed)
    parts, members = [], []
    default = f"{recipe.encoder}-d{recipe.dropout:g}"
    loaded = {c["encoder"]: load_data(opened, c["encoder"], text=True) for c in chosen}
    # The default candidate was fine-tuned as the system `mtdnn`, in the same way; but that run
    # knows nothing of text without labels, so that it serves all amounts of it.
    done = [c for c in chosen if c["what"] == default and not recipe.data.pool]
    work = [c for c in chosen if c not in done]
    steps = sum(total_steps(loaded[c["encoder"]][1], recipe.finetuning, alone=True) for c in work)
    with Progress(max(steps, 1), "teachers") as progress:
        for candidate in chosen:
            if candidate in done:
                members.append((candidate["run_id"], "mtdnn"))
                continue
            tokenizer, data = loaded[candidate["encoder"]]
            bench = Bench(opened, tokenizer, progress)
            parent = next(p for p in opened.run.parents if p.what == candidate["what"])
            system = f"teacher-{candidate['what']}"
            parts += [finetune(bench, parent, system, task, data[task]) for task in opened.tasks]
            members.append((opened.run.run_id, system))
    scores, details = combine(parts)
    details |= {"ranking": ranking, "members": members}
    details["by"] = list(selection_tasks(recipe, opened.tasks))
    # Every candidate sees the same examples, so any tokenizer's data gives ids and labels.
    scores += average_scores(opened, "ensemble", members, next(iter(loaded.values()))[1])
    return finish(opened, watch, scores, details)


def choose(ranking: list[dict[str, Any]], teachers: Teachers, seed: int) -> list[dict[str, Any]]:
    """The candidates that become teachers: the best, or as many drawn at random."""
    if teachers.order == "random":
        drawn = np.random.default_rng((seed, len(ranking))).permutation(len(ranking))
        ranking = [ranking[number] for number in drawn]
    return ranking[: teachers.choose]


def rank_candidates(opened: OpenRun) -> list[dict[str, Any]]:
    """Candidates, the best first, by the mean dev score of the selection tasks (KD paper 4.1)."""
    by = selection_tasks(opened.recipe, opened.tasks)
    pool = {f"{name}-d{dropout:g}" for name, dropout in pool_of(opened.recipe)}
    ranking = []
    for parent in opened.run.parents:
        if parent.what not in pool:
            continue
        record = records.read_record(run_folder(opened.results, parent))
        system = record.details["systems"][0]
        found = {
            task: dev_score([s for s in record.scores if s.system == system and s.task == task])
            for task in by
        }
        ranking.append(
            {
                "what": parent.what,
                "run_id": parent.run_id,
                "encoder": parent.settings["encoder"],
                "dropout": parent.settings["dropout"],
                "score": float(np.mean(list(found.values()))),
                **found,
            }
        )
    return sorted(ranking, key=lambda row: -row["score"])


def dev_score(scores: Sequence[Score]) -> float:
    """A task's dev score in points: the mean over its metrics (and over MNLI's two dev sets)."""
    values = [score.value for score in scores if score.split.startswith("dev")]
    return float(np.mean(values))


def members_of(opened: OpenRun) -> Sequence[Sequence[str]]:
    """Who teaches, (run, system): a teachers run's members, or the students above a student."""
    if students := [parent for parent in opened.run.parents if parent.stage == "distill"]:
        return [(parent.run_id, parent.what) for parent in students]
    runs = [run for run in (opened.run, *opened.run.parents) if run.stage == "teachers"]
    members: list[list[str]] = records.read_record(run_folder(opened.results, runs[0])).details[
        "members"
    ]
    return members


def member_predictions(
    opened: OpenRun, task: str, split: str, members: Sequence[Sequence[str]] | None = None
) -> list[targets.Predictions]:
    """Each teacher's stored outputs on one split."""
    members = members_of(opened) if members is None else members
    return [
        targets.read_predictions(prediction_file(opened.results, run_id, system, task, split))
        for run_id, system in members
    ]


def soft_targets(
    opened: OpenRun, task: str, idx: np.ndarray, *, split: str = "train", temperature: float = 1.0
) -> np.ndarray:
    """The teachers' averaged soft targets (N, C) for the examples `idx` of a split."""
    return targets.average(
        member_predictions(opened, task, split),
        idx,
        GLUE[task].labels,
        temperature=temperature,
        of=opened.recipe.teachers.average,
    )


def average_scores(
    opened: OpenRun, system: str, members: Sequence[tuple[str, str]], data: dict[str, Splits]
) -> list[Score]:
    """Store and score the average of the members, (run, system), on every dev and test split."""
    scores = []
    for task, splits in data.items():
        for split, item in splits.items():
            if split == "train":
                continue
            mean = targets.average(
                member_predictions(opened, task, split, members),
                item.encoded.idx,
                GLUE[task].labels,
                of=opened.recipe.teachers.average,
            )
            outputs = np.log(mean.clip(1e-9)) if GLUE[task].labels else mean
            scores += store(opened, system, task, split, item, outputs)
    return scores
