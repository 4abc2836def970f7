"""Tasks of one's own from Python: a project is a recipe, whose runs are made in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from mtkd.app.init import usual
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.common.files import whole, write_text
from mtkd.data.own_settings import OwnTask
from mtkd.experiments.recipes import as_yaml
from mtkd.experiments.validation import validated

if TYPE_CHECKING:  # slow to import, and a project may never need them
    import datasets
    import pandas as pd

    from mtkd.analysis.results import Results
    from mtkd.method.export.folder import Report
    from mtkd.method.model import MultiTaskModel

Frame = Union["pd.DataFrame", "datasets.Dataset"]
Data = str | Path | Frame | Mapping[str, str | Path | Frame]  # of all splits, or of each


WHOLE = ("encoders", "students")  # keys of a recipe that settings replace as a whole


class Project:
    """Tasks of one's own, their teachers and a student, kept in `results/<name>`.

    `tasks` maps a name to an `OwnTask`, or to its data alone: a file, a folder, a DataFrame, a
    `datasets.Dataset`, or a mapping of split to one of these. `encoder` is a folder, or a name on
    the hub; without one it is MiniLM. `settings` are keys of a recipe, as in YAML, where they
    differ from what `mtkd init` writes: `seeds=[1, 2, 3]`, `training={"epochs": 3}`.
    All that `distill` makes is that of `mtkd reproduce --recipe results/<name>/recipe.yaml`.
    Raises MtkdError for data or settings that do not fit.
    """

    def __init__(
        self,
        tasks: Mapping[str, OwnTask | Data],
        *,
        encoder: str | Path | None = None,
        name: str = "project",
        **settings: Any,
    ) -> None:
        self.folder = paths.results() / name
        raw = {"name": name} | usual(list(tasks))
        if encoder is not None and "encoders" in settings:  # one of these, by its name
            raw["encoder"] = encoder
        elif encoder is not None:
            place = {"path": str(Path(encoder).resolve())} if Path(encoder).is_dir() else None
            raw["encoders"] = {raw["encoder"]: place or {"hub": str(encoder)}}
        raw["tasks"] = {task: self.described(task, given) for task, given in tasks.items()}
        for key, value in settings.items():
            nested = isinstance(value, Mapping) and key not in WHOLE
            raw[key] = {**raw.get(key, {}), **value} if nested else value
        self.recipe = validated(raw, f"project {name}")
        for task in self.recipe.tasks:
            self.recipe.task(task)  # reads its files

    def add_teachers(self, task: str, *teachers: str | Path | Frame | Mapping[str, Any]) -> None:
        """Let a task be taught by models or predictions that are there already.

        A folder is a Hugging Face classifier, a file or a DataFrame is predictions, and a mapping
        has the keys of `teachers.given` in a recipe (`model`, `predictions`, `format`, `labels`).
        """
        given = [asdict(one) for one in self.recipe.teachers.given]
        for number, teacher in enumerate(teachers, len(given) + 1):
            if isinstance(teacher, Mapping):
                said = dict(teacher)
            elif isinstance(teacher, (str, Path)) and Path(teacher).is_dir():
                said = {"model": str(Path(teacher).resolve())}
            else:
                said = {"predictions": self.stored(f"teacher{number}-{task}", teacher)}
            given.append({"task": task, **said})
        raw = asdict(self.recipe)
        raw["teachers"]["given"] = given
        self.recipe = validated(raw, f"project {self.recipe.name}")

    def distill(self) -> MultiTaskModel:
        """Train what is missing, teachers first; returns the student of the first seed.

        Stopped or killed, it continues where it was.
        """
        from mtkd.experiments.context import RunContext
        from mtkd.experiments.plans import expand
        from mtkd.experiments.task_sets import present_tasks

        write_text(self.folder / "recipe.yaml", as_yaml(self.recipe))
        for run in expand(self.recipe):
            RunContext(self.recipe, run, self.folder, present_tasks(self.recipe)).execute()
        return self.student()

    def student(self, name: str | None = None, seed: int | None = None) -> MultiTaskModel:
        """A finished student: by default the first of the recipe, of its first seed."""
        from mtkd.experiments.plans import find_run
        from mtkd.experiments.records import model_folder
        from mtkd.method.model import MultiTaskModel

        name = next(iter(self.recipe.students)) if name is None else name
        run = find_run(self.recipe, "distill", name, self.recipe.seeds[0] if seed is None else seed)
        return MultiTaskModel.from_pretrained(model_folder(self.folder, run.run_id))

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

    def report(self) -> Path:
        """Write tables, figures and a page for a browser; returns the page. Needs `mtkd[lab]`."""
        from mtkd.app.publish import publish

        return publish(self.results)[-1]

    def described(self, task: str, given: OwnTask | Data) -> dict[str, Any]:
        """What a recipe says of a task."""
        if isinstance(given, OwnTask):
            return asdict(given)
        if isinstance(given, Mapping):
            return {"data": {s: self.stored(f"{task}-{s}", one) for s, one in given.items()}}
        return {"data": self.stored(task, given)}

    def stored(self, name: str, data: str | Path | Frame) -> str:
        """The place of some data; what is in memory is written into the project's folder."""
        if isinstance(data, (str, Path)):
            return str(data) if str(data).startswith("hf:") else str(Path(data).resolve())
        if not hasattr(data, "to_parquet"):
            raise MtkdError(
                f"project {self.folder.name}: {name} is a {type(data).__name__}; expected a file, "
                "a folder, a DataFrame or a datasets.Dataset"
            )
        path = self.folder / "data" / f"{name}.parquet"
        with whole(path) as part:
            data.to_parquet(part)
        return str(path.resolve())
