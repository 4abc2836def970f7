"""A student without torch: answers from its ONNX graph, by tokenizers, numpy and onnxruntime.

    Student("folder").predict("Where is my parcel?")

An exported folder carries all of this as one file, `runtime.py`, which needs no mtkd:

    python runtime.py FOLDER "Where is my parcel?"
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.data.answers import Rows, Text, answer

GRAPHS = {"fp32": "onnx/model.onnx", "int8": "onnx/model_int8.onnx"}
BATCH = 8  # texts of similar length that pass together; more gain no time on a CPU


class Student:
    """An exported multi-task model.

    `precision` "int8" is faster and not quite the same model: `export.json` says by how much.
    `threads` of onnxruntime, None for one per core. Raises MtkdError where the folder is no export.
    """

    def __init__(
        self,
        folder: str | Path,
        precision: Literal["fp32", "int8"] = "fp32",
        threads: int | None = None,
    ) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        folder = Path(folder)
        graph = folder / GRAPHS[precision]
        if not graph.is_file():
            raise MtkdError(f"{graph}: no such file; `mtkd export` writes it")
        saved = read_json(folder / "tokenizer_config.json")
        self.tasks: dict[str, dict[str, Any]] = read_json(folder / "mtkd.json")["tasks"]
        self.pad: int = read_json(folder / "config.json").get("pad_token_id") or 0
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(
            saved["model_max_length"], direction=saved.get("truncation_side", "right")
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        self.session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )

    def predict(self, texts: Text | Iterable[Text], task: str | None = None, top_k: int = 1) -> Any:
        """Label names and scores for texts, as `MultiTaskModel.predict` gives them.

        A text is a str; a pair is a tuple, or {"text": ..., "text_pair": ...}. For one of them
        {task: answer}, for a list a list; with `task` the answer alone.
        """
        return answer(texts, self.tasks, self.outputs, task, top_k)

    def outputs(self, rows: Rows, tasks: Sequence[str]) -> dict[str, np.ndarray]:
        """Outputs float32 (N, C) of some heads for texts, all single or all pairs."""
        encodings = self.tokenizer.encode_batch([row if len(row) == 2 else row[0] for row in rows])
        order = np.argsort([len(one.ids) for one in encodings], kind="stable")
        names, parts = [f"{task}_logits" for task in tasks], []
        for start in range(0, len(order), BATCH):
            batch = [encodings[place] for place in order[start : start + BATCH]]
            parts.append(self.session.run(names, padded(batch, self.pad)))
        back = np.argsort(order)
        columns = [np.concatenate(column)[back] for column in zip(*parts, strict=True)]
        return dict(zip(tasks, columns, strict=True))


def padded(encodings: Sequence[Any], pad: int) -> dict[str, np.ndarray]:
    """The graph's inputs int64 (B, T) for a batch of a tokenizer's encodings.

    The token type is 1 in a second text even where the tokenizer knows no types.
    """
    shape = (len(encodings), max(len(one.ids) for one in encodings))
    tokens, mask, types = (np.full(shape, fill, np.int64) for fill in (pad, 0, 0))
    for row, one in enumerate(encodings):
        count = len(one.ids)
        tokens[row, :count], mask[row, :count] = one.ids, 1
        second = [text == 1 for text in one.sequence_ids]
        types[row, :count] = np.maximum(one.type_ids, second)
    return {"input_ids": tokens, "attention_mask": mask, "token_type_ids": types}


def read_json(path: Path) -> Any:
    """What a JSON file of an exported folder holds. Raises MtkdError where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MtkdError(f"{path}: {error}; expected a folder that `mtkd export` wrote") from None


def main() -> None:
    """Print the answer to one text, or to a pair, as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="that `mtkd export` wrote")
    parser.add_argument("text")
    parser.add_argument("second", nargs="?", help="second text of a pair")
    parser.add_argument("--task", help="answer this task alone")
    parser.add_argument("--top-k", type=int, default=1, help="labels to give, the best first")
    parser.add_argument("--precision", choices=GRAPHS, default="fp32")
    parser.add_argument("--threads", type=int, help="default: one per core")
    asked = parser.parse_args()
    text = asked.text if asked.second is None else (asked.text, asked.second)
    try:
        student = Student(asked.folder, asked.precision, asked.threads)
        print(json.dumps(student.predict(text, asked.task, asked.top_k), ensure_ascii=False))
    except MtkdError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
