"""What the two README files show of the committed results."""

from __future__ import annotations

from pathlib import Path

from mtkd.analysis.markup import read_values
from mtkd.analysis.tables import directions
from mtkd.common.files import write_text

BLOCK = ("<!-- results:begin (made by `mtkd publish`) -->", "<!-- results:end -->")
CAPTIONS = {
    "dev_scores": "Dev scores of the main systems, task by task. A dot is the mean over seeds, a "
    "bar its 95 % interval, a fine tick one seed. Right: the paper's numbers, on a scale of their "
    "own, for the order of the systems and not for levels.",
    "gain": "MT-DNN-KD less MT-DNN, paired by seed. Right of the line the "
    "student is better. Shaded tasks have a teacher; the others can gain through the shared "
    "encoder only.",
    "ablation": "Mean dev score less that of MT-DNN with the same seed, system by system; hollow "
    "marks are the paper's.",
    "learning_curves": "Mean dev score by epoch of the multi-task trainings. Thin lines are seeds, "
    "thick ones their mean.",
    "study_targets": "Hard and soft targets: mean dev score less that of the same student without "
    "a teacher (mean of four draws), by the weight of the labels and the temperature. Boxed: the "
    "paper's way (losses averaged) and a review's (soft targets alone). Right: the paper's way "
    "and what is not on the grid.",
    "study_ensembles": "The ensemble: gain of the student by who taught it; right, the score of "
    "the ensemble itself by its size, of the best candidates and of any; and what ensembles of "
    "three gain over their members by how often two members differ.",
    "study_teacher_tasks": "Which tasks have teachers: gain of the student over no teacher.",
    "study_heads": "Heads and task sampling, no teacher: multi-task training with other pair heads "
    "and other laws of sampling, less the recipe's.",
    "agreement": "How often a system answers as the ensemble does, and its calibration error.",
    "label_noise": "Wrong training labels that the soft targets correct, and right ones that they "
    "contradict.",
    "study_sizes": "Smaller students: mean dev score by parameters, speed and latency (the best "
    "of all runs of a size), with teachers and without; labels are layers x width. The diamond is "
    "the ensemble: three models for each task, reckoned as three times one model's cost.",
    "study_generations": "Born again: students taught by an ensemble of students, twice over, and "
    "how far apart draws of random numbers are.",
    "study_unlabelled": "Unlabelled text: mean dev score by how much text the teachers alone have "
    "labelled, with few labels and with all. Dashed: labelled examples again in its place; dotted: "
    "those without a teacher.",
    "study_few_labels": "Few labels of new tasks: dev accuracy by the share of the labels, from "
    "four models. Dotted and hollow: MT-DNN's paper, whose shares are of larger tasks.",
    "teacher_knowledge": "How sure the teachers are of training examples: entropy of the soft "
    "targets, where the given label is right and where it is wrong (the toy benchmark knows). Mass "
    "on the right means no idea.",
}
TABLES = {
    "glue_dev.md": "dev scores, the paper's cells under ours",
    "glue_test.md": "test scores with AX and the GLUE score, published rows last",
    "ablation.md": "differences from MT-DNN, paired by seed",
    "stilts.md": "gain of an intermediate task over BERT",
    "qnli.md": "QNLI by classification, by ranking, and merged",
    "slices.md": "dev scores on slices: negation, and questions where a task has them",
    "study_targets.md": "study: weight of the labels by temperature",
    "study_ensembles.md": "study: how many teachers, chosen how, averaged how",
    "study_teacher_tasks.md": "study: which tasks have teachers",
    "study_heads.md": "study: pair heads and task sampling",
    "agreement.md": "agreement with the teachers, calibration",
    "label_noise.md": "wrong labels that the teachers correct",
    "study_sizes.md": "study: smaller students",
    "study_generations.md": "study: students taught by students",
    "study_unlabelled.md": "study: text without labels",
    "study_few_labels.md": "study: new tasks with few labels",
}


def gallery(folder: Path) -> str:
    """results/README.md as Markdown, from the tables and figures in `folder`, results/<recipe>."""
    name = folder.name
    text = (folder / "tables" / "summary.md").read_text(encoding="utf-8")
    summary = text.split("\n\n")[1].strip()
    tables = [
        f"- [{file}](reference/{name}/tables/{file}): {words}"
        for file, words in TABLES.items()
        if (folder / "tables" / file).is_file()
    ]
    figures = [
        f"### {figure.replace('_', ' ')}\n\n"
        f"![{figure}](reference/{name}/figures/{figure}.svg)\n\n{words}"
        for figure, words in CAPTIONS.items()
        if (folder / "figures" / f"{figure}.svg").is_file()
    ]
    intro = (
        f"# Results of `{name}`\n\nMade by `mtkd publish`; do not edit. The same as one page that "
        f"works without a network: [report.html](reference/{name}/report.html) (download it and "
        f"open it in a browser). Every score: [scores.csv](reference/{name}/scores.csv). Compare "
        "yours: `mtkd compare`."
    )
    return "\n\n".join([intro, summary, "\n".join(tables), *figures]) + "\n"


def readme_block(folder: Path) -> str:
    """What the README shows of the demo: its main figure and the summary, as committed."""
    figure = "![Dev scores of the main systems](results/reference/demo/figures/dev_scores.png)"
    text = (folder / "tables" / "summary.md").read_text(encoding="utf-8")
    summary = text.split("\n\n")[1].strip()
    words = (
        "Dev scores in points: mean over seeds, 95 % interval (Student's t). Gains: over MT-DNN, "
        "paired by seed. Paper: BERT-large on GLUE, another encoder and benchmark, so compare "
        "directions and not levels. Every task, with the paper's cells: "
        "[scores](results/reference/demo/tables/glue_dev.md), "
        "[differences](results/reference/demo/tables/ablation.md)."
    )
    lines = directions(read_values(folder / "tables" / "ablation.csv"))
    compared = "\n".join(f"- {line}" for line in lines)
    parts = [BLOCK[0], summary, words, compared, figure, BLOCK[1]]
    return "\n\n".join(part for part in parts if part)


def update_readme(readme: Path, folder: Path) -> None:
    """Put the block between its two marks in the README."""
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BLOCK[0])
    after = rest.split(BLOCK[1])[1]
    write_text(readme, before + readme_block(folder) + after)


def update_pages(root: Path, folder: Path) -> None:
    """Write results/README.md and the README's block anew, from the results in `folder`."""
    update_readme(root / "README.md", folder)
    write_text(root / "results" / "README.md", gallery(folder))
