"""results/README.md: the committed figures, and how to read each of them."""

from __future__ import annotations

from pathlib import Path

CAPTIONS = {
    "dev_scores": "Dev scores of the main systems, task by task. A dot is the mean over seeds, a "
    "bar its 95 % interval, a fine tick one seed. Right: the paper's numbers, on a scale of their "
    "own, for the order of the systems and not for levels.",
    "gain": "What distillation gains: MT-DNN-KD less MT-DNN, paired by seed. Right of the line the "
    "student is better. Shaded tasks have a teacher; the others can gain through the shared "
    "encoder only.",
    "ablation": "Mean dev score less that of MT-DNN with the same seed, system by system; hollow "
    "marks are the paper's.",
    "learning_curves": "Mean dev score by epoch of the multi-task trainings. Thin lines are seeds, "
    "thick ones their mean.",
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
    "slices.md": "dev scores on questions and negation",
}


def gallery(folder: Path) -> str:
    """The page as Markdown, from the tables and figures that are in `folder`, results/<recipe>."""
    name = folder.name
    summary = (folder / "tables" / "summary.md").read_text(encoding="utf-8").strip()
    tables = [
        f"- [{file}]({name}/tables/{file}): {words}"
        for file, words in TABLES.items()
        if (folder / "tables" / file).is_file()
    ]
    figures = [
        f"### {figure.replace('_', ' ')}\n\n![{figure}]({name}/figures/{figure}.svg)\n\n{words}"
        for figure, words in CAPTIONS.items()
        if (folder / "figures" / f"{figure}.svg").is_file()
    ]
    intro = (
        f"# Results of `{name}`\n\nMade by `mtkd report`; do not edit. The same as one page that "
        f"works without a network: [report.html]({name}/report.html) (download it and open it in a "
        f"browser). Every score: [scores.csv]({name}/scores.csv). Compare yours: `mtkd compare`."
    )
    return "\n\n".join([intro, summary, "\n".join(tables), *figures]) + "\n"
