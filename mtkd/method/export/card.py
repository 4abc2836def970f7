"""The model card of an exported folder: what it does, what it was checked against, its limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from huggingface_hub import EvalResult, ModelCardData

from mtkd.method.model import MultiTaskModel

if TYPE_CHECKING:
    from mtkd.method.export.folder import Report

SHOWN = 12  # labels of a task that the card names
PARITY_HEAD = ("task", "texts", "ONNX", "pipeline")
CHANGE_HEAD = ("task", "metric", "texts", "fp32", "int8", "change")
UNKNOWN = {"Data": "Not known: exported from a folder without the record of its run."}


@dataclass(frozen=True)
class Result:
    """One metric of the model on one split, in points."""

    task: str
    split: str
    metric: str
    value: float


@dataclass(frozen=True)
class Facts:
    """What a card says beside what the folder shows by itself."""

    name: str
    base_model: str | None = None  # hub name of the encoder that it started from
    results: tuple[Result, ...] = ()
    # Title -> Markdown: data, teachers, controls, as the run's record has them
    sections: Mapping[str, str] = field(default_factory=lambda: UNKNOWN)


def card(model: MultiTaskModel, report: Report, facts: Facts) -> str:
    """The README.md of an exported folder: metadata with its `model-index`, and the text."""
    about = ModelCardData(
        base_model=facts.base_model,
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["multi-task", "knowledge-distillation", "onnx", "mtkd"],
        model_name=facts.name,
        eval_results=[
            EvalResult(
                task_type="text-classification",
                dataset_type=one.task,
                dataset_name=one.task,
                dataset_split=one.split,
                metric_type=one.metric,
                metric_value=round(one.value, 2),
            )
            for one in facts.results
        ]
        or None,
    )
    given = "".join(f"## {title}\n\n{text}\n\n" for title, text in facts.sections.items())
    return (
        f"---\n{about.to_yaml()}\n---\n\n{body(model, report, facts.name)}{given}{limits(report)}"
    )


def body(model: MultiTaskModel, report: Report, name: str) -> str:
    """What the model answers, how to ask it, and what was checked."""
    told = model.described()
    piped = next(iter(report.pipelines), None)
    pipeline = (
        f'pipeline("text-classification", "FOLDER/tasks/{piped}")(text, truncation=True)\n'
        if piped
        else "# no task here fits transformers' own classifiers, see below\n"
    )
    return f"""\
# {name}

One {model.encoder.config.model_type} encoder with {len(told)} task head(s), trained with mtkd
(multi-task knowledge distillation, [arXiv:1904.09482](https://arxiv.org/abs/1904.09482)).

{table(("task", "kind", "takes", "answers"), task_rows(told))}
## Use

```python
from runtime import Student  # runtime.py of this folder: tokenizers, numpy, onnxruntime; no torch

Student("FOLDER").predict("a text")  # all tasks that take one text; ("one", "two") is a pair

from transformers import AutoModel, pipeline

{pipeline}AutoModel.from_pretrained("FOLDER")  # the encoder alone

import mtkd

mtkd.MultiTaskModel.from_pretrained("FOLDER").predict("a text")
```

`python runtime.py FOLDER "a text"` prints the same as JSON. `Student("FOLDER", "int8")` takes the
graph in 8 bits. Both ONNX graphs take `input_ids`, `attention_mask` and `token_type_ids`, int64,
padded on the right, and give `<task>_logits`: divide these by the task's `temperature` in
`mtkd.json` before softmax or sigmoid. In `tasks/<name>` the temperature is in the weights.

## Checked when exported

Largest difference of scores from the model in torch; beyond 1e-4 there is no export.

{table(PARITY_HEAD, parity_rows(report))}
{eight_bits(report)}
"""


def task_rows(told: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for task, one in told.items():
        labels = one["head"]["labels"]
        more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
        bounds = one.get("bounds")
        number = "a number" + (f" from {bounds[0]:g} to {bounds[1]:g}" if bounds else "")
        takes = "two texts" if len(one["columns"]) == 2 else "one text"
        yield task, one["objective"], takes, ", ".join(labels[:SHOWN]) + more or number


def parity_rows(report: Report) -> Iterator[Sequence[str]]:
    """Rows under `PARITY_HEAD`."""
    for task, distance in report.parity.items():
        piped = report.pipelines.get(task)
        last = f"none: {report.no_pipeline[task]}" if piped is None else f"{piped:.0e}"
        yield task, str(report.examples[task]), f"{distance:.0e}", last


def change_rows(report: Report) -> Iterator[Sequence[str]]:
    """Rows under `CHANGE_HEAD`."""
    for one in report.changes:
        scores = (f"{one.before:.2f}", f"{one.after:.2f}", str(one))
        yield one.task, one.metric, str(one.examples), *scores


def eight_bits(report: Report) -> str:
    """What int8 changes, or why there is none."""
    if not report.changes:
        return f"int8: {report.int8}."
    return (
        f"int8: {report.int8}. In points, with the change's 95 % interval (paired bootstrap over "
        f"texts).\n\n{table(CHANGE_HEAD, change_rows(report))}"
    )


def limits(report: Report) -> str:
    made_by = ", ".join(f"{name} {version}" for name, version in report.made_by.items())
    return f"""\
## Limits

- Scores are of dev examples, by which epochs, temperatures and the way of int8 were chosen, too;
  on text of another kind expect less. Scores of answers are calibrated on dev alone.
- Longer texts are cut to the encoder's length. Only the data's language was looked at.
- Parity was checked on one machine, with {made_by}.
- `tasks/<name>` needs fp32 or bf16: its weights are beyond fp16.
"""


def table(head: Sequence[str], rows: Any) -> str:
    """Markdown table; text in cells stays text."""
    lines = [head, [":--"] * len(head), *rows]
    plain = [[" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in plain)
