"""Teachers from elsewhere: fine-tuned classifiers of Hugging Face, and files of what others said.

Whatever a teacher is, it leaves `Predictions` like a model of the kit, so that averages, students
and tables need to know nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers
from safetensors import SafetensorError

from mtkd.common.errors import MtkdError, first_line
from mtkd.common.progress import Progress
from mtkd.data.given_files import file_outputs
from mtkd.data.given_settings import GivenTeacher
from mtkd.data.given_values import check_names, label_places
from mtkd.data.tasks import Examples, Task
from mtkd.method.encoders import check_weights, load_tokenizer, quiet
from mtkd.method.model import positions
from mtkd.method.targets import Predictions
from mtkd.method.threads import fast_threads

BATCH = 64  # texts a batch
PROBLEMS = {  # what a configuration says of each kind of task; None: a classifier says nothing
    "classification": (None, "single_label_classification"),
    "ranking": (None, "single_label_classification"),
    "multilabel": ("multi_label_classification",),
    "regression": (None, "regression"),
}


@dataclass(frozen=True)
class Classifier:
    """A sequence classifier, its tokenizer, and which of its outputs is which label of a task."""

    model: transformers.PreTrainedModel
    tokenizer: transformers.PreTrainedTokenizerBase
    places: tuple[int, ...]  # of each output among the task's labels
    max_length: int


def given_predictions(
    teacher: GivenTeacher, splits: Mapping[str, Examples], *, run: str = ""
) -> dict[str, Predictions]:
    """What a given teacher says of the examples of each split of its task, keyed by their ids.

    Logits or log-probabilities in the order of the task's labels, or scores of a regression. A
    model reads texts with its own tokenizer, as far as it can, or to the teacher's `max_length`.
    Raises MtkdError, one line, where the teacher does not fit the task.
    """
    outputs, _ = given_outputs(teacher, splits)
    made = {}
    for split, found in outputs.items():
        task, idx = splits[split].task, splits[split].idx
        made[split] = Predictions(task.name, split, task.labels, idx, found, run or teacher.name)
    return made


def given_outputs(
    teacher: GivenTeacher, splits: Mapping[str, Examples]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Outputs float32 (N, C) by split, and facts for a record: unused rows, or size and labels."""
    if teacher.model is None:
        outputs, unused = file_outputs(teacher, splits)
        return outputs, {"unused_rows": unused}
    task = next(iter(splits.values())).task
    found = load_classifier(teacher, task)
    total = sum(map(len, splits.values()))
    with Progress(total, teacher.name) as progress, fast_threads(found.model):
        outputs = {
            split: in_order(classify(found, examples, progress), found.places, task)
            for split, examples in splits.items()
        }
    facts = {"parameters": found.model.num_parameters(), "max_length": found.max_length}
    return outputs, facts


@torch.inference_mode()
def classify(found: Classifier, examples: Examples, progress: Progress) -> np.ndarray:
    """A classifier's own outputs, float32 (N, its labels), row i for example i."""
    sizes = [len(text) for text in examples.text_a]
    if examples.text_b is not None:
        sizes = [size + len(text) for size, text in zip(sizes, examples.text_b, strict=True)]
    order = np.argsort(sizes, kind="stable")  # similar lengths together: least padding
    outputs = np.zeros((len(examples), int(found.model.config.num_labels or 1)), np.float32)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        texts = [[side[row] for row in rows] for side in (examples.text_a, examples.text_b) if side]
        inputs = found.tokenizer(
            *texts,
            padding=True,
            truncation="longest_first",
            max_length=found.max_length,
            return_tensors="pt",
        )
        outputs[rows] = found.model(**inputs.to(found.model.device)).logits.float().cpu().numpy()
        progress.advance(len(rows))
    return outputs


def in_order(outputs: np.ndarray, places: tuple[int, ...], task: Task) -> np.ndarray:
    """Outputs (N, C) in the task's order; of outputs that are one label, the probabilities' sum."""
    if task.kind == "regression":
        return outputs
    found = np.full((len(outputs), len(task.labels)), -np.inf, np.float32)
    np.logaddexp.at(found.T, list(places), outputs.T)
    return found


def load_classifier(teacher: GivenTeacher, task: Task) -> Classifier:
    """A classifier from a folder or the hub, in fp32, on a GPU where there is one.

    Only safetensors are read, and code beside them is never run. Raises MtkdError if it cannot be
    loaded, is of another kind than the task, or has other labels.
    """
    name, where = str(teacher.model), f"given teacher {teacher.name}: model {teacher.model!r}"
    pinned = {} if teacher.revision is None else {"revision": teacher.revision}
    try:
        with quiet():
            model, loaded = transformers.AutoModelForSequenceClassification.from_pretrained(
                name,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # to be refused below
                **pinned,
            )
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        reason = first_line(error)
        raise MtkdError(
            f"{where} cannot be loaded: {reason} (expected a folder with config.json and "
            "model.safetensors, or a hub name and a network)"
        ) from error
    fine_tuned = "a fine-tuned classifier, as AutoModelForSequenceClassification saves it"
    check_weights(loaded, where, f"{fine_tuned}: is it an encoder alone?")
    places = output_places(model.config, teacher, task, where)
    tokenizer = load_tokenizer(name, teacher.revision)
    most = longest_input(model, tokenizer)
    longest = min(most, teacher.max_length or most)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Classifier(model.eval().to(device), tokenizer, places, longest)


def output_places(config: Any, teacher: GivenTeacher, task: Task, where: str) -> tuple[int, ...]:
    """Place of each of a classifier's outputs among the task's labels, by name."""
    if config.problem_type not in PROBLEMS[task.kind]:
        raise MtkdError(
            f"{where}: problem_type {config.problem_type!r} in its config.json, and {task.name} is "
            f"a {task.kind}; expected {PROBLEMS[task.kind][-1]!r}"
        )
    count = config.num_labels
    if (count == 1) != (task.kind == "regression"):
        raise MtkdError(
            f"{where}: {count} outputs, and {task.name} is a {task.kind}; expected "
            f"{len(task.labels) or 1}"
        )
    if task.kind == "regression":
        return (0,)
    names = [str(config.id2label[place]) for place in range(count)]
    check_names(names, teacher, task, where)
    known = label_places(teacher, task)
    places = tuple(known[name] for name in names)
    if task.kind == "multilabel" and len(set(places)) < len(places):
        raise MtkdError(f"{where}: two of its labels are one of {task.name}; expected one for each")
    return places


def longest_input(
    model: transformers.PreTrainedModel, tokenizer: transformers.PreTrainedTokenizerBase
) -> int:
    """Tokens that a model can read at once."""
    return min(tokenizer.model_max_length, positions(model))
