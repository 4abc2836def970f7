"""The ways to answer texts that `deploy.py` compares; each imports only what it needs.

    python benchmarks/answering.py SYSTEM FOLDER TASK...

answers one text, says so, answers some more, and waits for the end of its input: from outside
one sees how long a first answer takes and how much memory is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

MEMBERS = 3  # models of each task in the ensemble
ENSEMBLE, PIPELINES, PIPELINE = "ensemble", "pipeline, each task", "pipeline, one task"
TORCH, ONNX, INT8 = "student, torch", "student, ONNX", "student, int8"
SYSTEMS = (ENSEMBLE, PIPELINES, PIPELINE, TORCH, ONNX, INT8)
TEXT = "w7 w20 w33 w46 w59 w72 w85 w98"
Answer = Callable[[Sequence[str]], Any]


def opened(system: str, folder: Path, tasks: Sequence[str], threads: int | None = None) -> Answer:
    """A system, ready to answer lists of texts. `folder` is what `deploy.py` has prepared."""
    if system in (ONNX, INT8):
        sys.path.insert(0, str(folder / "student"))
        from runtime import Student

        student = Student(folder / "student", "int8" if system == INT8 else "fp32", threads)
        return lambda texts: student.predict(list(texts))
    import torch

    torch.set_num_threads(threads or torch.get_num_threads())
    if system in (PIPELINES, PIPELINE):
        from transformers import logging, pipeline

        logging.disable_progress_bar()
        places = [str(folder / "student" / "tasks" / task) for task in tasks]
        if system == PIPELINE:
            places = places[:1]
        pipes: list[Any] = [pipeline("text-classification", place) for place in places]
        return lambda texts: [
            pipe(list(texts), batch_size=len(texts), truncation=True) for pipe in pipes
        ]
    import mtkd

    if system == TORCH:
        model = mtkd.MultiTaskModel.from_pretrained(folder / "student")
        return lambda texts: model.predict(list(texts))
    members = {
        task: [
            mtkd.MultiTaskModel.from_pretrained(folder / "ensemble" / f"{task}-{number}")
            for number in range(MEMBERS)
        ]
        for task in tasks
    }
    from mtkd.data.answers import probabilities
    from mtkd.method.texts import text_outputs

    def averaged(texts: Sequence[str]) -> Any:
        rows: Any = [(text,) for text in texts]
        return {
            task: sum(
                probabilities(text_outputs(model, rows, [task])[task], "classification")
                for model in models
            )
            for task, models in members.items()
        }

    return averaged


def main() -> None:
    system, folder, *tasks = sys.argv[1:]
    answer = opened(system, Path(folder), tasks)
    answer([TEXT])
    print("first", flush=True)
    for _ in range(3):
        answer([TEXT] * 32)
    print("more", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
