"""What runs have stored, read again: as it was written, or an error says so."""

from __future__ import annotations

from pathlib import Path

from mtkd.experiments.records import as_written, model_folder, prediction_file
from mtkd.method.targets import Predictions, read_predictions


def stored_predictions(
    results: Path, run_id: str, system: str, task: str, split: str
) -> Predictions:
    """The outputs of one system of one run on one split. Raises MtkdError if they have changed."""
    return read_predictions(stored_file(results, run_id, system, task, split))


def stored_file(results: Path, run_id: str, system: str, task: str, split: str) -> Path:
    """The file of those outputs, which may not be there. Raises MtkdError if it has changed."""
    return as_written(results, run_id, prediction_file(results, run_id, system, task, split))


def stored_model(results: Path, run_id: str) -> Path:
    """The folder of a run's model or encoder. Raises MtkdError if one of its files has changed."""
    return as_written(results, run_id, model_folder(results, run_id))
