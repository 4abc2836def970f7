"""Tasks of one's own from Python: a project is a recipe, whose runs are made in this process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from mtkd.app.init import usual, with_found
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.common.files import whole, write_text
from mtkd.common.progress import duration
from mtkd.data.own_files import HUB, SUFFIXES
from mtkd.data.own_settings import OwnTask
from mtkd.experiments.recipes import as_yaml, available, check_names, import_extensions
from mtkd.experiments.validation import validated

if TYPE_CHECKING:  # slow to import, and a project may never need them
    import datasets
    import pandas as pd

    from mtkd.analysis.results import Results
    from mtkd.analysis.views import View
    from mtkd.method.export.folder import Report
    from mtkd.method.model import MultiTaskModel

Frame = Union["pd.DataFrame", "datasets.Dataset"]
Data = str | Path | Frame | Mapping[str, str | Path | Frame]  # of all splits, or of each
WHOLE = ("encoders", "students")  # keys of a recipe that settings replace as a whole
STAGES = {  # what is made, in the order that it needs
    "glue": "data",
    "encoders": "encoders",
    "baselines": "baselines",
    "mtdnn": "candidates",
    "given": "given teachers",
    "teachers": "ensembles",
    "distill": "students",
    "transfer": "few labels",
}


class Project:
    """Tasks of one's own, their teachers and a student, kept in `results/<name>`.

    `tasks` maps a name to a task's data: a file, a folder, a DataFrame, a `datasets.Dataset`, or a
    mapping of split to one of these; or to the keys that a recipe has of it, as `OwnTask` or as
    {"data": ..., "kind": ...}, where more is to be said. `encoder` is a folder, or a name on
    the hub; without one it is MiniLM. `settings` are keys of a recipe, as in YAML, where they
    differ from what `mtkd init` writes: `seeds=[1, 2, 3]`, `training={"epochs": 3}`.
    What has been made is not made again, and stopped or killed it continues where it was; all of
    it is that of `mtkd reproduce --recipe results/<name>/recipe.yaml`.
    Raises MtkdError for data or settings that do not fit.
    """

    def __init__(
        self,
        tasks: Mapping[str, OwnTask | Data | Mapping[str, Any]],
        *,
        encoder: str | Path | None = None,
        name: str = "project",
        **settings: Any,
    ) -> None:
        if name in available():
            raise MtkdError(f"project {name}: a recipe of the kit has that name; choose another")
        self.folder = paths.results() / name
        raw = {"name": name} | usual(list(tasks))
        if encoder is not None and "encoders" in settings:  # one of these, by its name
            raw["encoder"] = encoder
        elif encoder is not None:
            raw["encoder"] = called = re.sub(r"[^\w.-]", "-", Path(encoder).name)
            folder = {"path": str(Path(encoder).resolve())} if Path(encoder).is_dir() else None
            raw["encoders"] = {called: folder or {"hub": str(encoder)}}
            raw["candidates"]["encoders"] = [called]
        raw["tasks"] = {task: self.described(task, given) for task, given in tasks.items()}
        for key, value in settings.items():
            nested = isinstance(value, Mapping) and key not in WHOLE
            raw[key] = {**raw.get(key, {}), **value} if nested else value
        hint = '{{"{}": {{"data": DATA, "KEY": VALUE}}}}'
        raw, found = with_found(raw, f"project {name}", hint)
        raw["tasks"] = {one.task.name: asdict(one.spec) for one in found}
        self.recipe = validated(raw, f"project {name}")
        import_extensions(self.recipe)
        check_names(self.recipe)

    @property
    def tasks(self) -> pd.DataFrame:
        """What the tasks' files say, said or inferred: columns, kind, labels, metrics."""
        import pandas as pd

        from mtkd.analysis.data_checks import task_row

        return pd.DataFrame(task_row(self.recipe.task(name)) for name in self.recipe.tasks)

    def check(self) -> bool:
        """Print what the data lacks, and the time that all will take; whether nothing stops it."""
        from mtkd.app.check import check

        return check(self.recipe) == 0

    def add_teachers(self, task: str, *teachers: str | Path | Frame | Mapping[str, Any]) -> None:
        """Let a task be taught by models or predictions that are there already.

        A file (.csv, .tsv, .jsonl, .parquet) or a DataFrame is predictions; a folder, or a name of
        the hub, is a Hugging Face classifier; a mapping has the keys of `teachers.given` in a
        recipe (`model`, `predictions`, `format`, `labels`). Raises MtkdError.
        """
        raw = asdict(self.recipe)
        for teacher in teachers:
            if not isinstance(teacher, Mapping):
                placed = isinstance(teacher, (str, Path))
                model = placed and Path(str(teacher)).suffix.lower() not in SUFFIXES
                teacher = {"model" if model else "predictions": teacher}
            said = {"task": task, **teacher}
            if said.get("predictions") is not None:
                name = f"{task}-teacher{len(raw['teachers']['given']) + 1}"
                said["predictions"] = self.stored(name, said["predictions"])
            elif Path(said.get("model", "")).is_dir():
                said["model"] = str(Path(said["model"]).resolve())
            raw["teachers"]["given"] += (said,)
        self.recipe = validated(raw, f"project {self.recipe.name}")

    def teachers(self) -> View:
        """Train what candidates are missing, hear the given ones; all of them on dev, as a table.

        Those of the first seed. Needs `mtkd[lab]`.
        """
        from mtkd.analysis.teacher_outputs import teachers_heard, teachers_table

        self.make("teachers")
        return teachers_table(teachers_heard(self.results.teachers[0]))

    def distill(self) -> MultiTaskModel:
        """Train what is missing, teachers first; returns the student of the first seed."""
        self.make()
        return self.student()

    def make(self, until: str | None = None) -> None:
        """Make the runs that are missing or stale, up to a stage; a line for each stage."""
        from mtkd.experiments.context import RunContext
        from mtkd.experiments.plans import expand, upto
        from mtkd.experiments.records import current_record
        from mtkd.experiments.task_sets import present_tasks

        write_text(self.folder / "recipe.yaml", as_yaml(self.recipe))
        tasks = present_tasks(self.recipe)
        runs = sorted(
            upto(expand(self.recipe), until), key=lambda run: list(STAGES).index(run.stage)
        )
        for stage, some in groupby(runs, key=lambda run: run.stage):
            seconds = [
                RunContext(self.recipe, run, self.folder, tasks).execute().wall_seconds
                for run in some
                if current_record(self.folder, run) is None
            ]
            if seconds:
                print(f"{STAGES[stage]}: {len(seconds)} made in {duration(sum(seconds))}")

    def student(self, name: str | None = None, seed: int | None = None) -> MultiTaskModel:
        """A finished student: by default the first of the recipe, of its first seed."""
        from mtkd.experiments.plans import find_run
        from mtkd.experiments.stored import stored_model
        from mtkd.method.model import MultiTaskModel

        name = next(iter(self.recipe.students)) if name is None else name
        run = find_run(self.recipe, "distill", name, self.recipe.seeds[0] if seed is None else seed)
        return MultiTaskModel.from_pretrained(stored_model(self.folder, run.run_id))

    def export(
        self, folder: str | Path, name: str | None = None, seed: int | None = None, **how: Any
    ) -> Report:
        """Write a finished student as a folder that ships; `how` are options of `mtkd.export`.

        Its forms are compared on the tasks' dev sets. Needs `mtkd[deploy]`.
        """
        from mtkd.app.shipping import ship, student_folder

        name = next(iter(self.recipe.students)) if name is None else name
        model = student_folder(str(self.folder / "recipe.yaml"), name, seed)
        return ship(model, Path(folder), **how)

    @property
    def results(self) -> Results:
        """Scores of all that is finished."""
        from mtkd.analysis.results import open_results

        return open_results(str(self.folder / "recipe.yaml"))

    def verdict(self) -> View | None:
        """Whether the student is worth shipping, and what its teachers added; None without any.

        A sentence from paired tests on dev, with their table and figure. Needs `mtkd[lab]`.
        """
        from mtkd.analysis.verdict_views import verdict_view

        return verdict_view(self.results)

    def report(self) -> Path:
        """Write tables, figures and a page for a browser; returns the page. Needs `mtkd[lab]`."""
        from mtkd.app.publish import publish

        return publish(self.results)[-1]

    def described(self, task: str, given: OwnTask | Data | Mapping[str, Any]) -> dict[str, Any]:
        """What a recipe says of a task."""
        if isinstance(given, OwnTask):
            given = asdict(given)
        keys = given if isinstance(given, Mapping) and "data" in given else {"data": given}
        return {**keys, "data": self.stored(task, keys["data"])}

    def stored(self, name: str, data: Any) -> str | dict[str, Any]:
        """The place of data, or of every split's; what is in memory goes into the project's folder.

        Raises MtkdError for what is no data.
        """
        if isinstance(data, Mapping):
            return {split: self.stored(f"{name}-{split}", one) for split, one in data.items()}
        if isinstance(data, (str, Path)):
            return (
                str(data) if str(data).startswith(HUB) else str(Path(data).expanduser().resolve())
            )
        if not hasattr(data, "to_parquet"):
            raise MtkdError(
                f"project {self.folder.name}: {name} is a {type(data).__name__}; expected a file, "
                "a folder, a DataFrame or a datasets.Dataset"
            )
        path = self.folder / "data" / f"{name}.parquet"
        with whole(path) as part:
            # A DataFrame's index is no column of the data.
            data.to_parquet(part, **({"index": False} if hasattr(data, "iloc") else {}))
        return str(path.resolve())
