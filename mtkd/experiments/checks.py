"""Rules of a recipe that span several of its keys."""

from __future__ import annotations

from collections.abc import Iterator

from mtkd.data.tasks import GLUE, TASKS
from mtkd.experiments.settings import Recipe

# Systems of every recipe, or beside a baseline of another name
SYSTEMS = {"majority", "mtdnn-noft", "mtdnn", "ensemble", "metal-ensemble"}
TRAINABLE = [name for name, task in GLUE.items() if task.trained]
NEW = [name for name in TASKS if name not in GLUE]


def check(recipe: Recipe) -> str | None:
    """The first thing that does not fit, with its key; None if everything does."""
    rules = (known_tasks, known_encoders, given_teachers, order_of_students, numbers, ranking)
    return next((problem for rule in rules for problem in rule(recipe)), None)


def known_tasks(recipe: Recipe) -> Iterator[str]:
    if not recipe.tasks:
        yield "tasks: expected at least one"
    own = [name for name, task in recipe.tasks.items() if task is not None]
    if taken := [name for name in own if name in TASKS]:
        yield f"tasks.{taken[0]}: a task of GLUE has that name; choose another one"
    if dotted := [name for name in own if "." in name]:  # of a model's parts, it divides names
        yield (
            f"tasks.{dotted[0]}: a dot in the name of a task; expected letters, digits, '-' and '_'"
        )
    trainable = [*TRAINABLE, *own]
    for key, names, known in (
        ("tasks", recipe.tasks, trainable),
        ("teachers.tasks", recipe.teachers.tasks or (), trainable),
        ("teachers.selection_tasks", recipe.teachers.selection_tasks, trainable),
        ("intermediate", recipe.intermediate, trainable),
        ("few_labels.tasks", recipe.few_labels.tasks, NEW),
    ):
        for name in names:
            if name not in known:
                yield f"{key}: unknown task {name!r}; expected some of {', '.join(known)}"


def known_encoders(recipe: Recipe) -> Iterator[str]:
    known, students = ", ".join(recipe.encoders) or "none", recipe.students.items()
    candidates = recipe.candidates.encoders if recipe.teachers.choose else ()
    for key, name in (
        ("encoder", recipe.encoder),
        *(("candidates.encoders", name) for name in candidates),
        *((f"students.{own}.encoder", s.encoder) for own, s in students if s.encoder),
    ):
        if name not in recipe.encoders:
            yield f"{key}: {name!r} is not among the recipe's encoders ({known})"


def given_teachers(recipe: Recipe) -> Iterator[str]:
    names: list[str] = []
    for place, teacher in enumerate(recipe.teachers.given):
        key = f"teachers.given[{place}]"
        if teacher.task not in recipe.tasks:
            known = ", ".join(recipe.tasks)
            yield f"{key}.task: {teacher.task!r} is no task of the recipe; expected one of {known}"
        if teacher.name in names:
            yield f"{key}: another one is called {teacher.name!r}; give it a `name` of its own"
        names.append(teacher.name)


def order_of_students(recipe: Recipe) -> Iterator[str]:
    """Students come after those whom they learn from, or whose seed they share."""
    above: list[str] = []
    taken = SYSTEMS | {*recipe.baselines, *(f"stilts-{task}" for task in recipe.intermediate)}
    for name, student in recipe.students.items():
        key, other = f"students.{name}", student.same_seed_as
        if name in taken:
            yield f"{key}: {name!r} is the name of another system"
        taken |= {f"{name}-ft"} if student.finetune else set()
        for teacher in student.taught_by:
            if teacher not in above:
                yield f"{key}.taught_by: {teacher!r} is no student above it"
        if other is not None and other not in above:
            yield f"{key}.same_seed_as: {other!r} is no student above it"
        elif other is not None and recipe.students[other].same_seed_as:
            yield f"{key}.same_seed_as: {other!r} has the seed of another; name that one"
        elif other is not None and student.finetune:
            yield f"{key}: give either finetune or same_seed_as"
        above.append(name)


def numbers(recipe: Recipe) -> Iterator[str]:
    if recipe.name == "reference":
        yield "name: 'reference' is where committed results lie; choose another one"
    if recipe.training.epochs < 1:
        yield "training.epochs: expected at least 1, found 0"
    count = len(recipe.candidates.encoders) * len(recipe.candidates.dropout)
    least = 0 if recipe.teachers.given else 1
    if not least <= (asked := recipe.teachers.choose) <= count:
        zero = "" if asked else " (0 is for given teachers alone: teachers.given)"
        yield (
            f"teachers.choose: expected {least} to {count}, the number of candidates; "
            f"found {asked}{zero}"
        )
    if recipe.teachers.crossfit and not asked:
        yield "teachers.crossfit: given teachers are heard as they are; expected some candidates"
    for name, student in recipe.students.items():
        if (text := student.unlabelled_ratio) > (most := recipe.data.unlabelled_ratio):
            key = f"students.{name}.unlabelled_ratio"
            yield f"{key}: expected at most data.unlabelled_ratio, {most:g}; found {text:g}"
    heads = recipe.pretraining.attention_heads
    widths = [("pretraining.hidden", recipe.pretraining.hidden)]
    widths += [(f"encoders.{name}.hidden", s.hidden or 0) for name, s in recipe.encoders.items()]
    for key, width in widths:
        if width % heads:
            multiple = f"a multiple of pretraining.attention_heads, {heads}"
            yield f"{key}: expected {multiple}; found {width}"


def ranking(recipe: Recipe) -> Iterator[str]:
    own = (name for name, task in recipe.tasks.items() if task and task.kind == "ranking")
    if not (names := [*(["qnli"] if recipe.heads.qnli == "ranking" else []), *own]):
        return
    key = "heads.qnli" if names[0] == "qnli" else f"tasks.{names[0]}.kind"
    if recipe.data.limit or recipe.data.label_fraction < 1 or recipe.data.unlabelled_ratio:
        parts = "data.limit, data.label_fraction or data.unlabelled_ratio"
        yield f"{key}: ranking needs whole questions: no {parts}"
    for name, student in recipe.students.items():
        if student.temperature != 1 and set(names) & set(recipe.taught):
            head = f"the ranking head of {names[0].upper() if key == 'heads.qnli' else names[0]}"
            yield f"students.{name}.temperature: {head} is distilled at 1"
