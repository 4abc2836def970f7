"""The report: a small made-up result folder becomes one page that is whole, safe and sortable."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtkd.analysis import evaluations, tables
from mtkd.analysis.main_views import INTERVALS, PAPER_NOTE, headline_view, main_views
from mtkd.analysis.paper import PAPER
from mtkd.analysis.recipe_views import run_views
from mtkd.analysis.results import Results
from mtkd.app import report
from mtkd.app.publish import publish
from mtkd.common.errors import MtkdError
from mtkd.data.loading import DataSource
from mtkd.data.tasks import GLUE
from mtkd.experiments.plans import expand
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.records import Record, Score, prediction_file, run_folder, write_record
from mtkd.experiments.runs import Run
from mtkd.method import targets

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>"
TASKS = ("stsb", "rte")
SIZE = 12
GAIN = {"bert": 0, "mtdnn-noft": 1, "mtdnn": 2, "ensemble": 9, "mtdnn-kd": 10}
STAGES = {
    "baselines": ("bert",),
    "mtdnn": ("mtdnn-noft", "mtdnn"),
    "teachers": ("ensemble",),
    "distill": ("mtdnn-kd",),
}
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


def write_glue(root: Path) -> None:
    """RTE and STS-B as GLUE's files, with sentences that try to be HTML."""
    rte = ["index sentence1 sentence2 label".split()]
    stsb = ["index genre file year old source1 source2 sentence1 sentence2 score".split()]
    for row in range(SIZE):
        texts = [f"{ATTACK} {row}", f"second & {row}"]
        rte.append([str(row), *texts, GLUE["rte"].labels[row % 2]])
        stsb.append([str(row), *"gfyoab", *texts, str(row % 6)])
    for folder, lines in (("RTE", rte), ("STS-B", stsb)):
        (root / folder).mkdir(parents=True)
        for split in ("train", "dev", "test"):
            text = "".join("\t".join(line) + "\n" for line in lines)
            (root / folder / f"{split}.tsv").write_text(text, encoding="utf-8")


def finished(run: Run, systems: Sequence[str]) -> Record:
    """A record of a run: scores of its systems, two epochs, and the teachers' choice."""
    scores = tuple(
        Score(system, task, "dev", metric, 60.0 + GAIN[system] + run.seed, SIZE)
        for system in systems
        for task in TASKS
        for metric in GLUE[task].metrics
    )
    points = {task: dict.fromkeys(GLUE[task].metrics, 50.0 + run.seed) for task in TASKS}
    epochs = [{"epoch": e, "loss": {}, "score": 50.0, "scores": points} for e in (1, 2)]
    details = {"histories": {system: {"epochs": epochs} for system in systems}}
    details["histories"] |= {f"mtdnn.{task}": {"epochs": epochs} for task in TASKS}
    if run.stage == "teachers":
        chosen = {"encoder": "cased", "dropout": 0.1, "score": 71.0}
        details |= {"ranking": [chosen] * 2, "members": [(run.run_id, "ensemble")]}
    parents = {parent.run_id: "" for parent in run.parents}
    settings = {"distillation": {"hard_weight": 0.5}}
    record = Record(
        run.run_id, run.config_id, "smoke", run.stage, run.variant, run.seed, parents, settings, ""
    )
    environment = {"python": ATTACK, "commit": None, "packages": {"torch": "2"}}
    return replace(
        record, scores=scores, details=details, environment=environment, wall_seconds=1800.0
    )


def predict(folder: Path, run: Run, system: str) -> None:
    """Store outputs of a system, on the training sets too if it teaches."""
    random = np.random.default_rng([run.seed, GAIN[system]])
    for task in TASKS:
        for split in ("train", "dev") if system == "ensemble" else ("dev",):
            values = random.normal(size=(SIZE, max(len(GLUE[task].labels), 1)))
            path = prediction_file(folder, run.run_id, system, task, split)
            logits = values.astype(np.float32)
            stored = (task, split, GLUE[task].labels, np.arange(SIZE), logits, run.run_id)
            targets.write_predictions(path, targets.Predictions(*stored))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Results of the recipe `smoke` on two tasks and two seeds."""
    root = tmp_path_factory.mktemp("report")
    write_glue(root / "glue")
    settings = ["tasks=[stsb,rte]", "seeds=[1,2]", "baselines=[bert]"]
    settings.append("candidates.encoders=[cased,uncased]")
    recipe = load_recipe("smoke", settings, str(root / "glue"))
    runs = [run for run in expand(recipe) if run.stage in STAGES and run.variant != "mtdnn-kd-soft"]
    runs = [run for run in runs if run.variant != "cased-d0.1"]
    for run in runs:
        for system in STAGES[run.stage]:
            predict(root, run, system)
    records = tuple(finished(run, STAGES[run.stage]) for run in runs)
    for run, record in zip(runs, records, strict=True):
        write_record(run_folder(root, run.run_id), record)
    return Results(replace(recipe, about=ATTACK), root, tuple(runs), records, TASKS)


@pytest.fixture(scope="module")
def page(made: Results) -> str:
    return publish(made)[-1].read_text(encoding="utf-8")


class Elements(HTMLParser):
    """All start tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_view_is_there(made: Results, page: str) -> None:
    elements = Elements(page)
    ids = {given["id"] for _, given in elements.found if "id" in given}
    written = {path.stem for path in made.folder.glob("[tf]*/*.*")}  # tables, figures
    assert written - {"headline"} <= ids and {"cost", "environment", "deviations"} <= ids
    linked = {given["href"] for tag, given in elements.found if tag == "a"}
    assert {href[1:] for href in linked if href and href.startswith("#")} <= ids
    assert "verdict" not in ids, "which is of tasks of one's own"
    assert page.count("<h3>MT-DNN-KD</h3>") == 1 and "71.5" in page  # 60 + 10 + 1.5
    pictures = [given for tag, given in elements.found if tag == "img"]
    assert len(pictures) == len(list((made.folder / "figures").glob("*.svg")))
    assert all(given["alt"] for given in pictures)
    markdown = (made.folder / "report.md").read_text(encoding="utf-8")
    assert all(f"(figures/{path.name})" in markdown for path in made.folder.glob("figures/*.svg"))
    # What many views say is said once.
    assert elements.text.count(INTERVALS) == elements.text.count(PAPER_NOTE) == 1


def test_what_is_committed_quotes_no_example(made: Results, page: str, tmp_path: Path) -> None:
    shown = replace(made, folder=tmp_path / "public")
    shutil.copytree(made.folder, shown.folder)
    written = [path for path in publish(shown, quotes=False) if path.suffix in (".md", ".html")]
    quoting = [path.name for path in written if "second &" in path.read_text(encoding="utf-8")]
    assert "second &" in page and not quoting and written


def test_one_page_in_short(made: Results, page: str) -> None:
    text = (made.folder / "summary.md").read_text(encoding="utf-8")
    headline = (made.folder / "tables" / "headline.md").read_text(encoding="utf-8").strip()
    assert headline in text
    told = [row for row in text.splitlines() if row.startswith("- MT-DNN ensemble minus MT-DNN")]
    gains = tables.gain_values(made.main_scores, made.taught)
    row = gains[(gains["system"] == "ensemble") & (gains["task"] == "mean")].iloc[0]
    assert len(told) == 1 and f"{row['value']:+.1f} (" in told[0]
    assert "here (2 seeds), +2.3 in the paper. Too few seeds" in told[0]
    assert f"would take {len(made.records) / 2:.1f} hours" in text


def test_same_records_same_bytes(made: Results, page: str) -> None:
    before = {path: path.read_bytes() for path in publish(made)}
    assert {path: path.read_bytes() for path in publish(made)} == before
    assert before[made.folder / "report.html"].decode() == page


def test_text_from_data_is_escaped(made: Results, page: str) -> None:
    elements = Elements(page)
    assert ATTACK not in page and html.escape(ATTACK) in page
    assert page.count(html.escape(ATTACK)) >= 3  # the recipe, the environment, the examples
    assert [tag for tag, _ in elements.found].count("script") == 1
    assert ATTACK not in (made.folder / "tables" / "doubted_labels.md").read_text(encoding="utf-8")
    assert not any(name.startswith("on") for _, given in elements.found for name in given)


def test_nothing_is_loaded_from_elsewhere_and_it_can_be_dark(page: str) -> None:
    for tag, given in Elements(page).found:
        for name in ("src", "srcset", "href", "data", "poster"):
            if name in given and tag != "a":
                assert (given[name] or "").startswith("data:"), (tag, given[name])
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(", page)
    assert "prefers-color-scheme: dark" in page and 'content="light dark"' in page


def test_the_toy_benchmark_is_named(made: Results, page: str) -> None:
    toy = report.render(replace(made, recipe=replace(made.recipe, data=DataSource())), [])
    heading = re.compile("<title>.*</title>")
    assert "toy benchmark" in heading.findall(toy)[0] and "GLUE" not in heading.findall(toy)[0]
    assert 'class="badge"' in toy and 'class="badge"' not in page


def test_tables_are_laid_out_by_what_they_hold() -> None:
    ours = ["A", "81.2 [80.1, 82.3]", "a [b] (c)", "-"]
    papers = [f"A ({PAPER})", "-", "-", "56 % [-9, 91]"]
    found = report.sheet(pd.DataFrame([ours, papers], columns=["System", "x", "y", "z"]))
    assert found.text == (True, False, True, False) and found.published == (False, True)
    assert found.rows[0] == (("A", ""), ("81.2", "[80.1, 82.3]"), ("a [b] (c)", ""), ("-", ""))
    assert found.rows[1][0] == ("A", f"({PAPER})") and found.rows[1][3] == ("56 %", "[-9, 91]")


@pytest.mark.parametrize("stage", ["baselines", "mtdnn", "distill", "candidates"])
def test_some_of_the_runs_are_a_page_too(made: Results, page: str, stage: str) -> None:
    some = [record for record in made.records if record.stage == stage]
    if stage == "candidates":
        run = next(run for run in made.runs if run.stage == "mtdnn")
        score = Score("candidate-cased-d0.1", "rte", "dev", "accuracy", 60.0, SIZE)
        some = [replace(finished(run, ()), scores=(score,))]
    partial = replace(made, records=tuple(some))
    found = report.render(partial, [*main_views(partial).values(), *run_views(partial)])
    assert 'id="recipe"' in found and 'id="teacher_knowledge"' not in found and page != found


def test_a_missing_prediction_is_named(made: Results, tmp_path: Path) -> None:
    with pytest.raises(MtkdError, match="no stored predictions"):
        publish(replace(made, folder=tmp_path))


def test_degenerate_and_diverged_results_are_counted_at_the_top(made: Results) -> None:
    first = made.records[0]
    broken = (replace(first.scores[0], degenerate=True), *first.scores[1:])
    name, history = next(iter(first.details["histories"].items()))
    details = {"histories": {name: history | {"finite": False}}}
    records = (replace(first, scores=broken, details=details), *made.records[1:])
    views = main_views(replace(made, records=records))
    for view in (views["headline"], views["summary"]):  # the page's top; what a command prints
        flat, lost = view.notes[-2:]
        assert flat.startswith("The predictions of 1 of") and "degenerate" in flat
        assert "trainings diverged: " in lost and f": {name}, seed {first.seed}." in lost


def test_a_caveat_stands_under_every_table(made: Results) -> None:
    recipe = replace(made.recipe, caveat="Of a shelf.")
    tables = [v for v in main_views(replace(made, recipe=recipe)).values() if v.table is not None]
    assert tables and all(view.notes[-1] == recipe.caveat for view in tables)


def test_verdicts_are_those_of_the_numbers() -> None:
    gains = {"mtdnn": (0, 0, 0), "ensemble": (3, 3.1, 3.2), "mtdnn-kd": (-1, 0, 1.2)}
    gains["no-teacher"] = (0, 1, 2.2)  # one point above the student, whatever the seed
    rows = [
        {"system": system, "task": "rte", "split": "dev", "metric": "accuracy"}
        | {"value": 60.0 + gain, "seed": seed}
        for system, found in gains.items()
        for seed, gain in enumerate(found)
    ]
    scores = pd.DataFrame(rows)
    dev, gain = tables.score_values(scores), tables.gain_values(scores, ["mtdnn-kd"])
    view = headline_view(scores, dev, gain, "toy benchmark", [])
    found = [re.sub(r" \(.*", "", note.split(": ")[1]) for note in view.notes[:3]]
    assert found == ["gain", "no clear difference", "loss"]
    assert "-1.0 [-1.0, -1.0] points, n = 3" in view.notes[2]
    assert view.caption.startswith("Toy benchmark") and "toy benchmark" in view.title


def test_deviations(tmp_path: Path) -> None:
    path = tmp_path / "DEVIATIONS.md"
    assert report.deviations(path) is None
    path.write_text(
        f"# Title\n\n{ATTACK}\n\n## Part\n\n| a | b |\n| :-- | --: |\n| `x` | {ATTACK} |\n"
    )
    found = str(report.deviations(path))
    assert "Title" not in found and "<h3>Part</h3>" in found and "<code>x</code>" in found
    assert "<script" not in found and "<img" not in found and found.count("<table>") == 1


def test_calibration_by_hand() -> None:
    # Confidences 0.6, 0.8, 0.8, 1.0 in five bins of 0.2: (0.4, 0.6], (0.6, 0.8] and (0.8, 1].
    confidence, right = np.array([0.6, 0.8, 0.8, 1.0]), np.array([False, True, False, True])
    # (1 * |0 - 0.6| + 2 * |0.5 - 0.8| + 1 * |1 - 1|) / 4
    assert evaluations.calibration_error(confidence, right, bins=5) == pytest.approx(0.3)
    two = evaluations.Outputs(GLUE["rte"], 1, np.array([[9.0, -9.0]]), np.array([0]))
    three = evaluations.Outputs(GLUE["mnli"], 1, np.zeros((2, 3)), np.array([0, 1]))
    other = evaluations.Outputs(GLUE["stsb"], 1, np.zeros((2, 1)), np.array([0.0, 1.0]))
    assert evaluations.calibration([two, three, other]) == pytest.approx((1 / 9, -1 / 9), abs=1e-6)
    assert np.isnan(evaluations.calibration([other])).all()


# A window of Chromium is at least 500 pixels wide, so the page is looked at in a frame. The probe
# sorts the first table by its second column, three times.
PROBE = """<script>
addEventListener("load", () => {
  document.querySelectorAll("details").forEach((one) => (one.open = true));
  const table = document.querySelector("#results table");
  const header = table.tHead.rows[0].cells[1];
  const column = () => [...table.tBodies[0].rows].map((row) => parseFloat(row.cells[1].innerText));
  const states = [column()];
  for (let click = 0; click < 3; click++) {
    header.querySelector("button").click();
    states.push(column());
  }
  const missing = [...document.images].filter((one) => !one.complete || !one.naturalWidth).length;
  parent.postMessage([states, missing, document.documentElement.scrollWidth], "*");
});
</script>"""
FRAME = """<!doctype html><body><iframe src="page.html" width="390" height="800"
style="border: 0"></iframe><script>
addEventListener("message", (event) => {
  const answer = document.createElement("pre");
  answer.textContent = JSON.stringify(event.data);
  document.body.append(answer);
});
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on the PATH")
def test_in_a_browser_as_wide_as_a_phone(page: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page.replace("</body>", PROBE + "</body>"), "utf-8")
    (tmp_path / "frame.html").write_text(FRAME, encoding="utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--disable-background-networking", "--disable-component-update", "--no-first-run"]
    command += ["--virtual-time-budget=10000", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, (tmp_path / "frame.html").as_uri()], capture_output=True, text=True, timeout=180
    )
    answer = re.search(r"<pre>(.*?)</pre>", done.stdout, re.S)
    assert answer, done.stderr[-2000:]
    (first, up, down, again), missing, width = json.loads(html.unescape(answer[1]))
    assert missing == 0 and width <= 390
    assert up == sorted(first) and down == sorted(first, reverse=True)
    assert again == first and len(set(first)) > 2
