"""A model as a folder that ships: the same answers from torch, `pipeline` and ONNX."""

import base64
import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from conftest import MakeEncoder
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast, pipeline

from mtkd.app.cli import main
from mtkd.common.errors import MtkdError
from mtkd.data import resampling
from mtkd.data.loading import DataSource, load_examples
from mtkd.data.tasks import Examples, Task
from mtkd.method.export import comparison
from mtkd.method.export.classifiers import write_classifier
from mtkd.method.export.comparison import changes
from mtkd.method.export.folder import Report, export
from mtkd.method.export.graph import Graph
from mtkd.method.export.hub import push_to_hub
from mtkd.method.model import MultiTaskModel
from mtkd.method.settings import HeadSpec, TaskAbout
from mtkd.method.texts import padded, text_outputs
from mtkd.runtime import Student
from mtkd.runtime import padded as graph_inputs

TASKS = {
    "tone": Task("tone", labels=("bad", "fair", "good")),
    "same": Task("same", labels=("no", "yes"), columns=("a", "b")),
    "nli": Task("nli", labels=("entails", "neutral", "contradicts"), columns=("a", "b")),
    "topics": Task("topics", "multilabel", ("pets", "home", "sport"), metrics=("micro_f1",)),
    "urgency": Task("urgency", "regression", metrics=("pearson", "spearman"), range=(1, 5)),
}
HEADS = {"same": "linear", "nli": "san"}


@functools.cache
def sentences() -> list[str]:
    found = load_examples(DataSource(scale=1e-3), "mnli", "train")
    return [*found.text_a, *(found.text_b or [])]


def texts_of(task: Task, count: int, seed: int = 0) -> Any:
    """Random texts of one to ten sentences, or pairs of these; the longest are cut."""
    rng = np.random.default_rng(seed)
    rows = [
        [" ".join(rng.choice(sentences(), rng.integers(1, 10))) for _ in task.columns]
        for _ in range(count)
    ]
    return [tuple(row) if task.pair else row[0] for row in rows]


@pytest.fixture(scope="module")
def model(make_encoder: MakeEncoder, tokenizer: PreTrainedTokenizerFast) -> MultiTaskModel:
    """Heads of every kind, whose answers differ from text to text; temperatures."""
    torch.manual_seed(0)
    specs = {name: HeadSpec.for_task(t, HEADS.get(name, "san")) for name, t in TASKS.items()}
    about = {name: TaskAbout(task.columns, bounds=task.bounds) for name, task in TASKS.items()}
    about |= {n: TaskAbout(TASKS[n].columns, heat) for n, heat in (("tone", 2.5), ("topics", 0.7))}
    made = MultiTaskModel(make_encoder(), specs, tokenizer, about)
    for parameter in made.encoder.parameters():
        parameter.data.mul_(10 if parameter.ndim > 1 else 1)
    for name, task in TASKS.items():
        rows = [text if task.pair else (text,) for text in texts_of(task, 30)]
        layer: Any = made.heads[name].output
        with torch.no_grad():
            layer.weight.mul_(3 / text_outputs(made, rows, [name])[name].std(0).mean())
            layer.bias.sub_(torch.from_numpy(text_outputs(made, rows, [name])[name].mean(0)))
    return made.eval()


@pytest.fixture(scope="module")
def examples(model: MultiTaskModel) -> dict[str, Examples]:
    """Texts labelled by the model itself, a tenth of the classes at random."""
    found, rng = {}, np.random.default_rng(1)
    for name, task in TASKS.items():
        texts = texts_of(task, 60)
        answers = model.predict(texts, task=name)
        if task.kind == "classification":
            labels: Any = [answer["label"] for answer in answers]
            labels[::10] = rng.choice(task.labels, len(labels[::10]))
        elif task.kind == "multilabel":
            labels = [answer["labels"] for answer in answers]
        else:
            labels = np.array(answers) + rng.normal(size=len(answers))
        first, second = zip(*texts, strict=True) if task.pair else (texts, None)
        found[name] = Examples.from_lists(task, first, labels, second=second, split="dev")
    return found


@pytest.fixture(scope="module")
def shipped(
    model: MultiTaskModel,
    examples: dict[str, Examples],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Report]:
    folder = tmp_path_factory.mktemp("export") / "student"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "RESAMPLES", 30)  # for time
        return folder, export(model, folder, examples, max_drop=100)


def flat(answer: Any) -> tuple[list[str], list[float]]:
    """Labels and numbers of an answer."""
    if isinstance(answer, float):
        return [], [answer]
    if isinstance(answer, list):
        return [one["label"] for one in answer], [one["score"] for one in answer]
    if "labels" in answer:
        return answer["labels"], list(answer["scores"].values())
    return [answer["label"]], [answer["score"]]


def assert_alike(found: Any, wanted: Any) -> None:
    """The same labels, scores within 1e-4."""
    for theirs, ours in zip(found, wanted, strict=True):
        assert flat(theirs)[0] == flat(ours)[0]
        assert flat(theirs)[1] == pytest.approx(flat(ours)[1], abs=1e-4)


@pytest.mark.parametrize("name", TASKS)
def test_all_forms_answer_alike(
    name: str, model: MultiTaskModel, shipped: tuple[Path, Report]
) -> None:
    folder, report = shipped
    task, top = TASKS[name], max(2, len(TASKS[name].labels))
    texts = texts_of(task, 40, seed=2)  # others than those of the export's own check
    wanted = model.predict(texts, name, top)
    assert len({str(flat(one)[0][:1]) for one in wanted}) > 1 or name == "urgency"
    assert_alike(MultiTaskModel.from_pretrained(folder).predict(texts, name, top), wanted)
    assert_alike(Student(folder).predict(texts, name, top), wanted)
    assert (name in report.pipelines) == (folder / "tasks" / name).exists() == (name != "nli")
    if name == "nli":
        assert "'san'" in report.no_pipeline[name]
        return
    pipe: Any = pipeline("text-classification", str(folder / "tasks" / name), device="cpu")
    for text, ours in zip(texts, wanted, strict=True):
        asked = dict(zip(("text", "text_pair"), text, strict=True)) if task.pair else text
        found = pipe([asked], top_k=None, truncation=True)[0]
        scores = {one["label"]: one["score"] for one in found}
        if task.kind == "regression":  # of which the answer is inside the range
            assert float(np.clip(scores[name], 1, 5)) == pytest.approx(ours, abs=1e-4)
        elif task.kind == "multilabel":
            assert scores == pytest.approx(ours["scores"], abs=1e-4)
        else:
            assert_alike([found], [ours])


def test_the_folder_needs_neither_torch_nor_mtkd(
    model: MultiTaskModel, shipped: tuple[Path, Report], tmp_path: Path
) -> None:
    folder, _ = shipped
    mixed = [*texts_of(TASKS["tone"], 5), *texts_of(TASKS["nli"], 5)]
    script = (
        "import json, sys\n"
        "sys.modules['mtkd'] = None\n"  # an import of it fails
        "from runtime import Student\n"
        "texts = [t if isinstance(t, str) else tuple(t) for t in json.load(sys.stdin)]\n"
        f"print(json.dumps(Student({str(folder)!r}, threads=1).predict(texts)))\n"
        "assert not {'torch', 'transformers', 'onnx', 'pandas'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        input=json.dumps(mixed),
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr
    for found, wanted in zip(json.loads(done.stdout), model.predict(mixed), strict=True):
        assert found.keys() == wanted.keys()
        assert_alike(found.values(), wanted.values())


def test_the_runtime_as_a_command(model: MultiTaskModel, shipped: tuple[Path, Report]) -> None:
    folder, _ = shipped
    text = texts_of(TASKS["tone"], 1)[0]
    command = [sys.executable, "runtime.py", "."]
    done = subprocess.run([*command, text], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_alike(json.loads(done.stdout).values(), model.predict(text).values())
    pair = [*command, text, text, "--task", "tone"]
    done = subprocess.run(pair, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("predict: text 0 is a pair")


def test_encoder_and_tokenizer_are_at_the_top(
    model: MultiTaskModel, shipped: tuple[Path, Report]
) -> None:
    folder, _ = shipped
    first, second = texts_of(TASKS["nli"], 1)[0]
    inputs = AutoTokenizer.from_pretrained(folder)(
        first, second, truncation=True, return_tensors="pt"
    )
    with torch.inference_mode():
        found = AutoModel.from_pretrained(folder)(**inputs).last_hidden_state
        segments = torch.tensor([[-1 if s is None else s for s in inputs.sequence_ids()]]) + 1
        torch.testing.assert_close(found, model.states(inputs["input_ids"], segments))


def test_int8_is_the_smaller_graph_and_its_changes_are_told(
    model: MultiTaskModel, examples: dict[str, Examples], shipped: tuple[Path, Report]
) -> None:
    folder, _ = shipped
    told = json.loads((folder / "export.json").read_text())
    rows = examples["urgency"].rows
    student = Student(folder, "int8")
    new, old = student.outputs(rows, ["urgency"])["urgency"][:, 0], model.predict(rows, "urgency")
    label = examples["urgency"].label
    assert label is not None
    (pearson,) = [c for c in told["changes"] if (c["task"], c["metric"]) == ("urgency", "pearson")]
    assert pearson["after"] == pytest.approx(100 * np.corrcoef(new, label)[0, 1], abs=0.01)
    outputs = text_outputs(model, rows, ["urgency"])["urgency"][:, 0]
    assert pearson["before"] == pytest.approx(100 * np.corrcoef(outputs, label)[0, 1], abs=0.01)
    assert pearson["low"] <= pearson["high"] and pearson["examples"] == len(old) == 60
    assert len(told["changes"]) == 4 + 3  # and the mean of two metrics


def test_the_interval_of_a_change_is_that_of_paired_differences() -> None:
    """For accuracy the bootstrap's is the mean difference plus or minus 1.96 standard errors."""
    rng = np.random.default_rng(0)
    label = rng.integers(2, size=2000)
    right = np.eye(2)[label]
    before, after = right.copy(), right.copy()
    before[:100], after[:160] = 1 - right[:100], 1 - right[:160]
    task = Task("t", labels=("a", "b"))
    (found,) = changes(Examples.from_lists(task, [""] * 2000, list(label)), before, after)
    wrong = np.zeros(2000)
    wrong[100:160] = -100
    error = 1.96 * wrong.std() / np.sqrt(2000)
    assert (found.before, found.after, found.change) == pytest.approx((95, 92, -3))
    assert (found.low, found.high) == pytest.approx((-3 - error, -3 + error), abs=0.15)


# ------------------------------------------------------------------------------------- refusals


def test_int8_that_costs_too_much_is_refused_and_nothing_is_left(
    model: MultiTaskModel,
    examples: dict[str, Examples],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resampling, "RESAMPLES", 3)
    monkeypatch.setattr("mtkd.method.export.folder.QUANTISED", ["QInt8, per tensor"])
    with pytest.raises(MtkdError, match=r"task tone: int8 changes its score by .*\[.*--max-drop"):
        export(model, tmp_path / "out", examples, classifiers=False, max_drop=-100)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_answers_otherwise_is_refused(
    model: MultiTaskModel,
    examples: dict[str, Examples],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segments = Graph.segments

    def off_by_one(self: Graph, *inputs: torch.Tensor) -> torch.Tensor:
        return segments(self, *inputs).roll(1, 1)

    monkeypatch.setattr(Graph, "segments", off_by_one)
    with pytest.raises(MtkdError, match=r"task tone: ONNX and torch give scores .* apart on"):
        export(model, tmp_path / "out", examples)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_export_is_neither_replaced_nor_run(
    model: MultiTaskModel, examples: dict[str, Examples], tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(MtkdError, match="there already, and no export of before"):
        export(model, tmp_path, examples)
    with pytest.raises(MtkdError, match="no texts to check nli, topics with"):
        export(model, tmp_path / "out", {t: examples[t] for t in ("tone", "same", "urgency")})
    with pytest.raises(MtkdError, match=r"model.onnx: no such file; `mtkd export` writes it"):
        Student(tmp_path)
    with pytest.raises(MtkdError, match=r"no export.json there"):
        push_to_hub(tmp_path, "me/student")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_command_for_a_model_outside_of_a_recipe(
    model: MultiTaskModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved, output = tmp_path / "model", tmp_path / "out"
    model.save_pretrained(saved)
    words = ["export", str(saved), "--output", str(output)]
    assert main(words) == 1 and "--texts FILE" in capsys.readouterr().err
    assert main([*words, "--recipe", "smoke"]) == 1
    assert "or --recipe NAME" in capsys.readouterr().err
    lines = [
        "\t".join([name, *([text] if isinstance(text, str) else text)])
        for name, task in TASKS.items()
        for text in texts_of(task, 3)
    ]
    texts = tmp_path / "texts.tsv"
    texts.write_text("\n".join(lines))
    assert main([*words, "--texts", str(texts), "--no-classifiers"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "none: no score of tone, same, nli, topics, urgency (no labels" in told
    assert not (output / "tasks").exists() and not (output / "onnx/model_int8.onnx").exists()
    assert main([*words, "--texts", str(texts), "--no-classifiers"]) == 0  # an export is renewed


# ------------------------------------------------------------------------------ other encoders

SMALL = {
    "vocab_size": 200,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 80,
}
DISTIL = {"vocab_size": 200, "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32}
ENCODERS: dict[str, Any] = {
    "roberta": transformers.RobertaConfig(**SMALL),
    "electra": transformers.ElectraConfig(**SMALL, embedding_size=16),
    "distilbert": transformers.DistilBertConfig(**DISTIL, max_position_embeddings=80),
    "albert": transformers.AlbertConfig(**SMALL, embedding_size=8),
    "deberta-v2": transformers.DebertaV2Config(**SMALL),
    "modernbert": transformers.ModernBertConfig(**SMALL, pad_token_id=0),
}


@pytest.mark.parametrize("kind", ENCODERS)
def test_classifiers_of_other_encoders(
    kind: str, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """Hidden layers with tanh, gelu and relu pass the state on; one with a norm cannot."""
    torch.manual_seed(0)
    encoder = AutoModel.from_config(ENCODERS[kind], attn_implementation="eager").eval()
    about = {"tone": TaskAbout(("text",), 1.7)}
    made = MultiTaskModel(encoder, {"tone": HeadSpec.for_task(TASKS["tone"])}, tokenizer, about)
    made.heads["tone"].output.weight.data.mul_(20)  # type: ignore[operator, union-attr]
    reason = write_classifier(made, "tone", tmp_path)
    if kind == "modernbert":
        assert "modernbert" in reason and list(tmp_path.iterdir()) == []
        return
    assert reason == ""
    texts = texts_of(TASKS["tone"], 20)
    found = comparison.pipeline_scores(tmp_path, [(t,) for t in texts], TASKS["tone"].labels)
    outputs = text_outputs(made, [(t,) for t in texts], ["tone"])["tone"]
    wanted = comparison.scores_of(outputs, made.described()["tone"])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


TEMPLATES = {  # as in BERT, in RoBERTa and in ModernBERT
    "types": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "two separators": ("[CLS] $A [SEP]", "[CLS] $A [SEP] [SEP] $B [SEP]"),
    "no types": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]"),
}
A_TEXT = st.lists(st.sampled_from(["the nurse", "washed", "a plum", ""]), max_size=6).map(" ".join)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("told_types", [True, False])
@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.tuples(A_TEXT, A_TEXT), min_size=1, max_size=4), pair=st.booleans())
def test_a_graph_finds_the_segments_of_training(
    template: str,
    told_types: bool,
    rows: list[tuple[str, str]],
    pair: bool,
    tokenizer: PreTrainedTokenizerFast,
    make_encoder: MakeEncoder,
) -> None:
    one, two = TEMPLATES[template]
    ids = [(word, tokenizer.convert_tokens_to_ids(word)) for word in ("[CLS]", "[SEP]")]
    copy = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, pad_token="[PAD]")
    copy.backend_tokenizer.post_processor = TemplateProcessing(
        single=one, pair=two, special_tokens=ids
    )
    made = MultiTaskModel(make_encoder(), {}, copy)
    made.uses_token_types = template == "types"
    texts = [row if pair else row[0] for row in rows]
    encodings = copy.backend_tokenizer.encode_batch(texts)
    tokens, segments = padded(encodings, 0)
    inputs = {name: torch.from_numpy(v) for name, v in graph_inputs(encodings, 0).items()}
    if not made.uses_token_types and not told_types:  # as transformers' own tokenizers have it
        inputs["token_type_ids"].zero_()
    found = Graph(made).segments(tokens, inputs["attention_mask"], inputs["token_type_ids"])
    assert torch.equal(found, segments)


# ------------------------------------------------------------------------------------- the hub


class StandIn(BaseHTTPRequestHandler):
    """As much of the hub as an upload asks for; it keeps the files."""

    files: dict[str, bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != "Bearer secret":
            return self.reply({"error": "who are you?"}, 401)
        if self.path == "/api/repos/create":
            assert json.loads(body)["visibility"] == "private"
            return self.reply({"url": f"http://{self.headers['Host']}/me/student"})
        if self.path == "/api/validate-yaml":
            return self.reply({"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            return self.reply({"files": [{"path": name, **modes} for name in names]})
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                value = line["value"]
                self.files[value["path"]] = base64.b64decode(value["content"])
        self.reply({"commitUrl": f"http://{self.headers['Host']}/c/1", "commitOid": "1" * 40})

    def do_GET(self) -> None:
        self.reply({"error": "not there"}, 404)

    def reply(self, what: Any, status: int = 200) -> None:
        text = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[str, dict[str, bytes]]]:
    files: dict[str, bytes] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (StandIn,), {"files": files}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", files
    server.shutdown()


def test_a_folder_on_a_hub(
    shipped: tuple[Path, Report], hub: tuple[str, dict[str, bytes]], tmp_path: Path
) -> None:
    folder, _ = shipped
    address, files = hub
    script = (
        "import sys, mtkd; print(mtkd.push_to_hub(sys.argv[1], 'me/student', token=sys.argv[2]))"
    )
    online = os.environ | {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path)}
    command = [sys.executable, "-c", script, str(folder)]
    done = subprocess.run([*command, "secret"], env=online, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert files == {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    about = ModelCard(files["README.md"].decode()).data
    assert about.pipeline_tag == "text-classification" and "mtkd" in (about.tags or [])
    done = subprocess.run([*command, "wrong"], env=online, capture_output=True, text=True)
    assert "MtkdError: me/student: the hub did not take" in done.stderr and "401" in done.stderr
