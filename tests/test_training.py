"""The training loop: the same weights however a training is cut up."""

import json
import math
import multiprocessing
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from accelerate.state import AcceleratorState, PartialState
from conftest import MakeData, MakeModel
from safetensors.torch import load_file, save_file
from sklearn.metrics import f1_score
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from mtkd.common.errors import MtkdError
from mtkd.common.objects import write_object
from mtkd.common.progress import Progress
from mtkd.data.batches import Batch, TaskData, collate, epoch_units, tokenize
from mtkd.data.tasks import GLUE, Examples, Task
from mtkd.method import losses
from mtkd.method.checkpoints import History
from mtkd.method.distillation import batch_loss
from mtkd.method.heads import objective_of
from mtkd.method.model import MultiTaskModel
from mtkd.method.optim import LARGE, BlockedAdamax
from mtkd.method.prediction import predict
from mtkd.method.settings import Distillation, HeadSpec, Training
from mtkd.method.targets import average
from mtkd.method.training import (
    Scores,
    learning_rate,
    pieces,
    steps_per_epoch,
    train,
)

TASKS = ("cola", "mnli", "stsb")
QUICK = Training(epochs=3, batch_size=6, learning_rate=2e-3, keep="last")
ONE_EPOCH = replace(QUICK, epochs=1, batch_size=5)
SCORES = (50.0, 70.0, 60.0)  # of the epochs: the second is the best


class Stop(Exception):
    """An interruption."""


class Interrupt(Progress):
    """Stops the training after so many steps."""

    def __init__(self, after: int) -> None:
        super().__init__(after, "test")

    def advance(self, steps: int = 1, note: str | None = None) -> None:
        super().advance(steps, note)
        if self.done >= self.total:
            raise Stop


def scripted(stop_at: int = 0) -> Callable[[], Scores]:
    """An `evaluate` that gives SCORES in turn; interrupted instead at call `stop_at`."""
    calls = 0

    def evaluate() -> Scores:
        nonlocal calls
        calls += 1
        if calls == stop_at:
            raise Stop
        return {"cola": {"matthews": SCORES[calls - 1]}}

    return evaluate


def weights(model: MultiTaskModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def apart(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """Largest difference of any weight."""
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def told(history: History) -> list[dict[str, Any]]:
    return [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in history.epochs]


@pytest.fixture(scope="module")
def data(make_data: MakeData) -> dict[str, TaskData]:
    return {task: make_data(task) for task in TASKS}


@pytest.mark.parametrize(("keep", "kept", "in_step"), [("last", 3, True), ("best", 2, False)])
def test_resumed_training_is_the_uninterrupted_one_bit_for_bit(
    keep: Any,
    kept: int,
    in_step: bool,
    tmp_path: Path,
    make_model: MakeModel,
    data: dict[str, TaskData],
) -> None:
    settings = replace(QUICK, keep=keep)
    whole = make_model(TASKS, dropout=0.2)
    expected = train(whole, data, settings, seed=3, evaluate=scripted())

    begun = make_model(TASKS, dropout=0.2)
    progress = Interrupt(steps_per_epoch(data, settings)[0] + 4) if in_step else None
    evaluate = scripted(stop_at=0 if in_step else 2)
    common: dict[str, Any] = {"seed": 3, "checkpoint": tmp_path / "checkpoint"}
    with pytest.raises(Stop):
        train(begun, data, settings, evaluate=evaluate, progress=progress, **common)

    scores = scripted()
    scores()  # the first epoch was evaluated before the interruption
    torch.manual_seed(123)  # another process: nothing is as it was
    resumed = make_model(TASKS, dropout=0.2, seed=99)
    counted = Progress(0, "test")
    found = train(resumed, data, settings, evaluate=scores, progress=counted, **common)
    assert apart(weights(whole), weights(resumed)) == 0
    assert told(found) == told(expected)
    assert found.kept_epoch == expected.kept_epoch == kept
    assert counted.done == sum(steps_per_epoch(data, settings))

    # A training that had ended, but was not recorded, takes no step and ends the same.
    finished = make_model(TASKS, dropout=0.2, seed=7)
    again = train(finished, data, settings, evaluate=scripted(), **common)
    assert apart(weights(whole), weights(finished)) == 0 and told(again) == told(expected)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors"}  # no pickle


def test_best_epoch_is_kept(make_model: MakeModel, data: dict[str, TaskData]) -> None:
    model, seen, scores = make_model(TASKS), [], scripted()

    def evaluate() -> Scores:
        seen.append(weights(model))
        return scores()

    history = train(model, data, replace(QUICK, keep="best"), seed=3, evaluate=evaluate)
    assert history.kept_epoch == 2 and [e["score"] for e in history.epochs] == list(SCORES)
    assert apart(weights(model), seen[1]) == 0 < apart(weights(model), seen[2])
    assert not model.training


def test_accumulation_changes_nothing(
    make_model: MakeModel, data: dict[str, TaskData], make_data: MakeData
) -> None:
    # Batches of 5 in four pieces are uneven, and a last batch of one leaves empty pieces.
    many = {**data, "qnli": make_data("qnli", ranking=True)}
    found, reported = [], []
    for accumulation in (1, 4):
        model = make_model(tuple(many)).double()
        settings = replace(QUICK, batch_size=5, accumulation=accumulation, epochs=1)
        reported.append(train(model, many, settings, seed=1).epochs[0]["loss"])
        found.append(weights(model))
    assert apart(*found) < 1e-6
    assert reported[0] == pytest.approx(reported[1], rel=1e-5)


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 5, 32])
def test_pieces_are_the_whole_batch(processes: int, size: int) -> None:
    units = np.arange(size)
    each = [
        pieces(units, 4, SimpleNamespace(num_processes=processes, process_index=i))  # type: ignore[arg-type]
        for i in range(processes)
    ]
    assert {len(mine) for mine in each} == {4}  # all processes step alike
    computed = [part.units[part.own] for mine in each for part in mine if part.weight]
    assert sorted(np.concatenate(computed)) == units.tolist()
    assert all(p.weight in (0, len(p.units) / size) for mine in each for p in mine)
    assert all(sum(p.weight for p in mine) == pytest.approx(1) for mine in each)


def test_learning_rate_by_hand() -> None:
    def rates(total: int, warmup: float) -> list[float]:
        settings = Training(learning_rate=8.0, warmup=warmup)
        return [learning_rate(settings, step, total) for step in range(total)]

    # 10 steps, 2 of them warming up: up in halves, then down by eighths, never zero.
    assert rates(10, 0.2) == pytest.approx([4, 8, 8, 7, 6, 5, 4, 3, 2, 1])
    assert rates(4, 0.0) == pytest.approx([8, 6, 4, 2])
    assert rates(2, 1.0) == pytest.approx([4, 8])
    for total in (1, 2, 3, 99):
        assert min(rates(total, 0.1)) > 0 and max(rates(total, 0.1)) <= 8


def test_steps_are_adamax_with_clipping(make_model: MakeModel, make_data: MakeData) -> None:
    data = {"sst2": make_data("sst2")}
    settings = replace(QUICK, epochs=2, clip=0.05)
    model, by_hand = make_model(["sst2"]), make_model(["sst2"])
    train(model, data, settings, seed=4)

    order = [
        units
        for epoch in (1, 2)
        for _, units in epoch_units(data, 6, seed=4, epoch=epoch, epochs=2)
    ]
    optimizer = torch.optim.Adamax(by_hand.parameters(), foreach=False)
    for step, units in enumerate(order):
        batch = collate("sst2", data["sst2"], units, 0)
        by_hand.zero_grad()
        logits = by_hand("sst2", batch.tokens, batch.segments)
        torch.nn.functional.cross_entropy(logits, batch.labels).backward()
        norm = math.sqrt(sum(float((p.grad**2).sum()) for p in by_hand.parameters()))
        assert norm > settings.clip
        for parameter in by_hand.parameters():
            parameter.grad *= settings.clip / norm
        for group in optimizer.param_groups:  # one step of six warms up, five go down
            group["lr"] = settings.learning_rate * min(1, (6 - step) / 5.4)
        optimizer.step()
    assert step == 5
    # Gradients of about the size of Adamax's epsilon leave a little rounding.
    assert apart(weights(model), weights(by_hand)) < 1e-5


def test_blocks_are_updated_as_torch_does() -> None:
    """Bit for bit: a large parameter that no block divides, a small one, one without gradient."""
    kinds = (torch.optim.Adamax, BlockedAdamax)
    sizes = ((LARGE // 8 + 3, 9), (5,), (2,))
    torch.manual_seed(0)
    start = [torch.randn(size) for size in sizes]
    models = [[torch.nn.Parameter(value.clone()) for value in start] for _ in kinds]
    optimizers = [kind(ps, lr=0.1, foreach=True) for kind, ps in zip(kinds, models, strict=True)]
    for _ in range(3):
        gradients = [torch.randn(size) for size in sizes[:2]]
        for parameters, optimizer in zip(models, optimizers, strict=True):
            for parameter, gradient in zip(parameters[:2], gradients, strict=True):
                parameter.grad = gradient.clone()
            optimizer.step()
    for one, other in zip(*models, strict=True):
        assert torch.equal(one, other)
    one, other = (optimizer.state_dict()["state"] for optimizer in optimizers)
    assert one.keys() == other.keys() == {0, 1}
    assert all(torch.equal(one[i][key], other[i][key]) for i in one for key in one[i])


def test_reported_loss_is_the_mean_over_batches(
    make_model: MakeModel, data: dict[str, TaskData]
) -> None:
    model, still = make_model(TASKS), replace(QUICK, epochs=1, batch_size=8, learning_rate=1e-12)
    found = train(model, data, still, seed=0).epochs[0]
    assert found["steps"] == 6
    for task in TASKS:
        batch = collate(task, data[task], np.arange(16), 0)
        with torch.no_grad():
            outputs = model(task, batch.tokens, batch.segments)
        expected = batch_loss(outputs, batch, model.specs[task], None)
        assert found["loss"][task] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("task", [*TASKS, "qnli"])
def test_soft_targets_touch_only_the_tasks_that_have_them(
    task: str, make_model: MakeModel, make_data: MakeData
) -> None:
    model, item = make_model([task]), make_data(task)
    spec, taught = model.specs[task], Distillation(hard_weight=0.25, temperature=2.0)
    soft = np.random.default_rng(0).dirichlet(np.ones(max(len(spec.labels), 1)), 16)
    plain = collate(task, item, np.arange(5), 0)
    with_soft = collate(task, item.with_soft_targets(soft), np.arange(5), 0)
    outputs = model(task, plain.tokens, plain.segments)
    hard = batch_loss(outputs, plain, spec, None)
    torch.testing.assert_close(batch_loss(outputs, plain, spec, taught), hard)
    torch.testing.assert_close(batch_loss(outputs, with_soft, spec, None), hard)
    target = torch.from_numpy(soft[:5]).float()
    teachers = losses.soft_loss(outputs, target, 2.0)
    if task == "stsb":
        teachers = ((outputs - target) ** 2).mean()
    expected = 0.25 * hard + 0.75 * teachers
    torch.testing.assert_close(batch_loss(outputs, with_soft, spec, taught), expected)


def test_text_without_labels_teaches_the_head_of_its_task(
    make_model: MakeModel, make_data: MakeData
) -> None:
    item, rng = make_data("mnli"), np.random.default_rng(0)
    taught = item.with_soft_targets(rng.dirichlet(np.ones(3), 16))
    unlabelled = replace(taught, encoded=replace(item.encoded, label=None), head="mnli")
    soft_alone = Distillation(hard_weight=0.0, temperature=2.0)
    found = []
    # With soft targets alone the labels make no difference, and neither may their absence; and
    # without labels no weight can bring them back.
    for name, data, how in (
        ("mnli", taught, soft_alone),
        ("mnli-unlabelled", unlabelled, soft_alone),
        ("mnli-unlabelled", unlabelled, replace(soft_alone, hard_weight=0.5, loss="mixed-targets")),
    ):
        model = make_model(TASKS)
        train(model, {name: data}, QUICK, seed=0, distillation=how)
        found.append(weights(model))
    assert apart(found[0], found[1]) == apart(found[0], found[2]) == 0
    for data, words in (
        (replace(unlabelled, soft=None), "mnli-unlabelled: no labels and no soft targets"),
        (unlabelled, "soft targets of mnli-unlabelled, and no `distillation`"),
    ):
        with pytest.raises(MtkdError, match=words):
            train(make_model(TASKS), {"mnli-unlabelled": data}, QUICK, seed=0)


def test_ranking_learns_from_labels_and_from_teachers(
    make_data: MakeData,
) -> None:
    item, spec = make_data("qnli", ranking=True), HeadSpec("ranking", GLUE["qnli"].labels)
    outputs = torch.tensor([[1.0], [0.0], [0.5], [2.0]])
    taught = item.with_soft_targets(np.full((len(item.encoded), 2), 0.5))
    batch = collate("qnli", taught, np.array([0, 1]), 0)
    assert batch.labels is not None
    log_probs = torch.log_softmax(outputs.view(2, 2), 1)
    gold = log_probs[batch.labels.view(2, 2) == 0].mean()
    torch.testing.assert_close(batch_loss(outputs, batch, spec, None), -gold)
    found = batch_loss(outputs, batch, spec, Distillation(hard_weight=0.0))
    torch.testing.assert_close(found, -log_probs.mean())  # teachers who cannot tell: half each


def test_a_student_comes_to_agree_with_its_teacher_or_with_the_labels(
    make_model: MakeModel, make_data: MakeData
) -> None:
    item = make_data("sst2")
    assert item.encoded.label is not None
    wrong = 1 - item.encoded.label  # a teacher who contradicts the labels shows who is followed
    taught = {"sst2": item.with_soft_targets(np.where(np.arange(2) == wrong[:, None], 0.9, 0.1))}
    settings = replace(QUICK, epochs=12, batch_size=4, learning_rate=3e-2)
    followed = []
    for hard_weight in (0.0, 1.0):
        model = make_model(["sst2"])
        distillation = Distillation(hard_weight=hard_weight)
        history = train(model, taught, settings, seed=0, distillation=distillation)
        assert history.finite
        followed.append(np.mean(predict(model, "sst2", item).argmax(-1) == wrong))
    assert followed[0] > 0.9 and followed[1] < 0.1


@pytest.mark.parametrize("loss", ["cross-entropy", "mixed-targets"])
def test_a_student_without_teachers_is_trained_as_if_there_were_none(
    loss: str, make_model: MakeModel, data: dict[str, TaskData]
) -> None:
    broken = {task: np.full((16, max(len(GLUE[task].labels), 1)), np.inf) for task in TASKS}
    taught = {task: item.with_soft_targets(broken[task]) for task, item in data.items()}
    plain, student = make_model(TASKS, dropout=0.2), make_model(TASKS, dropout=0.2)
    expected = train(plain, data, QUICK, seed=1)
    alone = Distillation(hard_weight=1.0, temperature=2.0, loss=loss)
    assert told(train(student, taught, QUICK, seed=1, distillation=alone)) == told(expected)
    assert apart(weights(plain), weights(student)) == 0


def test_weights_and_range_enter_the_loss() -> None:
    outputs = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    batch = Batch("mood", outputs, outputs, torch.tensor([0, 1, 1, 0]), None, torch.arange(4))
    spec = HeadSpec("linear", ("bad", "good"), options={"weights": [1.0, 3.0]})
    expected = F.cross_entropy(outputs, batch.labels, torch.tensor([1.0, 3.0]))
    torch.testing.assert_close(batch_loss(outputs, batch, spec, None), expected)
    ranged = HeadSpec("similarity", options={"range": [-10, 10]})
    scores = replace(batch, labels=torch.tensor([-10.0, 0, 5, 10]), soft=torch.zeros(4, 1))
    for how, target in ((None, scores.labels), (Distillation(hard_weight=0.0), torch.zeros(4))):
        error = (outputs[:, :1].squeeze(1) - target) / 20
        torch.testing.assert_close(
            batch_loss(outputs[:, :1], scores, ranged, how), error.pow(2).mean()
        )


@pytest.mark.parametrize("loss", ["cross-entropy", "mixed-targets", "annealed"])
def test_a_student_of_several_labels_and_of_scores(
    loss: str, make_model: MakeModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Two kinds of tasks of one's own, from lists to answers; the teachers know the labels."""
    names = ("dog", "cat", "ran")
    several = [[n for bit, n in enumerate(names) if row >> bit & 1] for row in [*range(8)] * 2]
    texts = [" ".join(["the", *given]) for given in several]
    topics = Task("topics", "multilabel", names, metrics=("micro_f1",), dropout=0.0)
    length = Task("length", "regression", range=(0.0, 30.0), dropout=0.0)
    labels = {topics: several, length: [10.0 * len(given) for given in several]}
    taught, specs = {}, {task.name: HeadSpec.for_task(task) for task in labels}
    for task, given in labels.items():
        item = tokenize(Examples.from_lists(task, texts, given), tokenizer)
        label = item.encoded.label
        assert label is not None
        outputs = [label.reshape(16, -1)] * 2 if task is length else [8 * label - 4, 12 * label - 6]
        soft = average(outputs, temperature=2.0, objective=objective_of(specs[task.name]))
        hidden = loss == "cross-entropy"  # soft targets alone, then
        encoded = replace(item.encoded, label=None) if hidden else item.encoded
        taught[task.name] = replace(item, encoded=encoded).with_soft_targets(soft)
    student = MultiTaskModel(make_model(["cola"]).encoder, specs, tokenizer)
    how = Training(epochs=50, batch_size=8, learning_rate=3e-2)
    train(student, taught, how, distillation=Distillation(temperature=2.0, loss=loss))

    answers = student.predict(texts)
    found = [[name in one["topics"]["labels"] for name in names] for one in answers]
    right = np.array([[name in given for name in names] for given in several])
    assert f1_score(right, np.array(found), average="micro") > 0.8  # all labels always: 0.67
    error = np.array([one["length"] for one in answers]) - labels[length]
    assert np.abs(error).mean() < 5  # the mean always: 7.5


def test_annealing_goes_from_the_teachers_to_the_labels(
    make_model: MakeModel, make_data: MakeData
) -> None:
    item, spec = make_data("rte"), make_model(["rte"]).specs["rte"]
    soft = np.tile(np.float32([0.7, 0.3]), (16, 1))
    batch = collate("rte", item.with_soft_targets(soft), np.arange(4), 0)
    outputs = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    for done in (0.0, 0.25, 1.0):
        found = batch_loss(outputs, batch, spec, Distillation(loss="annealed"), done)
        mixed = batch_loss(outputs, batch, spec, Distillation(hard_weight=done))
        torch.testing.assert_close(found, mixed, rtol=0, atol=0)


def test_an_error_leaves_the_model_and_torch_as_they_were(
    make_model: MakeModel, data: dict[str, TaskData]
) -> None:
    model = make_model(TASKS)
    model.encoder.eval()
    modes = [module.training for module in model.modules()]
    torch.set_num_threads(2)
    try:
        with pytest.raises(Stop):
            train(model, data, QUICK, progress=Interrupt(after=4))
        assert [module.training for module in model.modules()] == modes
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def of_another_stamp(folder: Path) -> None:
    path = folder / "history.json"
    write_object(path, json.loads(path.read_text()) | {"stamp": "b"})


def with_another_loss(folder: Path) -> None:
    path = folder / "history.json"
    path.write_text(path.read_text().replace('"epoch": 1', '"epoch": 3'))


def with_another_weight(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")


def cut_short(folder: Path) -> None:
    path = folder / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def of_another_model(folder: Path) -> None:
    save_file({"x": torch.zeros(2)}, folder / "model.safetensors")


def without_history(folder: Path) -> None:
    (folder / "history.json").unlink()


def test_a_checkpoint_that_does_not_fit_is_set_aside(
    tmp_path: Path,
    make_model: MakeModel,
    data: dict[str, TaskData],
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, begun = make_model(TASKS), make_model(TASKS)
    train(whole, data, QUICK)
    common: dict[str, Any] = {"checkpoint": tmp_path / "sound", "stamp": "a"}
    with pytest.raises(Stop):
        train(begun, data, QUICK, evaluate=scripted(stop_at=2), **common)
    damages = (of_another_stamp, cut_short, of_another_model, without_history)
    for damage in (*damages, with_another_loss, with_another_weight):
        folder = tmp_path / damage.__name__
        shutil.copytree(tmp_path / "sound", folder)
        damage(folder / "epoch-0001")
        capsys.readouterr()
        again = make_model(TASKS)
        train(again, data, QUICK, checkpoint=folder, stamp="a")
        assert apart(weights(whole), weights(again)) == 0
        (line,) = capsys.readouterr().out.splitlines()
        assert "epoch-0001: removed, training starts anew (" in line


def test_bfloat16(make_model: MakeModel, data: dict[str, TaskData]) -> None:
    found = []
    for precision in ("fp32", "bf16"):
        model = make_model(TASKS)
        settings = replace(QUICK, epochs=1, precision=precision)  # type: ignore[arg-type]
        found.append(train(model, data, settings, seed=0).epochs[0]["loss"])
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert found[1] == pytest.approx(found[0], rel=0.05) and found[1] != found[0]


def test_tf32_is_fp32_where_there_is_no_gpu_and_ends_with_the_training(
    make_model: MakeModel, data: dict[str, TaskData]
) -> None:
    seen, found = [], []
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    for precision in ("fp32", "tf32"):
        model = make_model(TASKS)
        model.encoder.register_forward_pre_hook(lambda *_: seen.append(matmul.fp32_precision))
        train(model, data, replace(ONE_EPOCH, precision=precision))  # type: ignore[arg-type]
        found.append(weights(model))
        assert matmul.fp32_precision == before
    assert set(seen[: len(seen) // 2]) == {before} and set(seen[len(seen) // 2 :]) == {"tf32"}
    assert torch.cuda.is_available() or apart(*found) == 0


# ------------------------------------------------------------------------- several processes


# The last batch of 16 examples has one, which leaves nothing to one of two processes.
UNEVEN = replace(ONE_EPOCH, batch_size=5, accumulation=2)


def _one_of_two(rank: int, port: int, folder: Path, model: Any, data: Any) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    # Forked from a process that may have trained alone: it shall not remember that.
    AcceleratorState._reset_state(reset_partial_state=True)
    PartialState._reset_state()
    history = train(model, data, UNEVEN, seed=3)
    loss = {f"loss.{k}": torch.tensor(v) for k, v in history.epochs[0]["loss"].items()}
    save_file(weights(model) | loss, folder / f"{rank}.safetensors")


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA does not survive a fork")
def test_two_processes_train_the_same_model(
    tmp_path: Path, make_model: MakeModel, data: dict[str, TaskData]
) -> None:
    alone = make_model(TASKS, dropout=0.3)
    loss = train(alone, data, UNEVEN, seed=3).epochs[0]["loss"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")  # a fresh process would take long to import torch
    model = make_model(TASKS, dropout=0.3)
    both = [
        fork.Process(target=_one_of_two, args=(rank, port, tmp_path, model, data))
        for rank in (0, 1)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        process.kill()
    assert [process.exitcode for process in both] == [0, 0]
    for rank in (0, 1):
        found = load_file(tmp_path / f"{rank}.safetensors")
        reported = {k: float(found.pop(f"loss.{k}")) for k in loss}
        assert apart(weights(alone), found) < 1e-5
        assert reported == pytest.approx(loss, rel=1e-4)
