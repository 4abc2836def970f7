# The graph of runs. The recipe expands itself into runs (mtkd/experiments/plans.py); this file only says how one
# run is done, and what the tables and figures rest on. `mtkd reproduce` calls it with
#   snakemake --snakefile Snakefile --directory results/<recipe> --cores 2 --rerun-triggers mtime
#       --config recipe_file=recipe.yaml
# Paths are relative to results/<recipe>. A run's id holds the hash of all its scientific settings and
# of its parents, so another setting is another file, and nothing stale can be taken for it.
import json
import sys
from pathlib import Path

from mtkd.app.notebook_code import keep_sources
from mtkd.common.paths import PACKAGE
from mtkd.experiments.plans import expand, upto, urgency
from mtkd.experiments.recipes import load_recipe
from mtkd.common.files import write_text
from mtkd.app.reproduce import DUE

recipe = load_recipe(str(Path(config.get("recipe_file", "recipe.yaml")).resolve()))
RUNS = {run.run_id: run for run in upto(expand(recipe), config.get("until"))}
URGENCY = urgency(list(RUNS.values()))
RECIPE = str(Path("recipe.yaml").resolve())
REPORTS = "07_glue_results 08_ablations 09_open_questions".split()
REPORTS = [] if config.get("until") else REPORTS
# Results depend on the code of a notebook, not on the outputs that JupyterLab saves in it.
keep_sources(Path.cwd(), {*REPORTS, *(run.notebook for run in RUNS.values())})

# Library files that a result depends on. Editing one of them repeats what rests on it.
def sources(*packages):
    return sorted(str(path) for name in packages for path in (PACKAGE / name).rglob("*.py"))


METHOD = sources("data", "method", "experiments/systems")
VIEW = sources("analysis", "app")


def method(run):
    return METHOD


wildcard_constraints:
    run_id="[^/]+",


onstart:
    jobs = [job for job in workflow.dag.needrun_jobs() if job.rule.name == "run"]
    write_text(Path(DUE), "".join(f"{job.wildcards.run_id}\n" for job in jobs))


rule all:
    input:
        # Every output is a target: a result that went missing is made again, whatever rests on it.
        [f"runs/{run_id}/record.json" for run_id in RUNS],
        [f"reports/{name}.done" for name in REPORTS],


rule run:
    input:
        lambda w: [f"runs/{parent.run_id}/record.json" for parent in RUNS[w.run_id].parents],
        lambda w: f".sources/{RUNS[w.run_id].notebook}.txt",
        lambda w: method(RUNS[w.run_id]),
    output:
        "runs/{run_id}/record.json",
    params:
        notebook=lambda w: RUNS[w.run_id].notebook,
        values=lambda w: json.dumps({"recipe": RECIPE, **RUNS[w.run_id].parameters}),
    threads: 1
    # The runs that most rests on go first, so that no core is idle at the end.
    priority: lambda w: URGENCY[w.run_id]
    resources:
        gpu=1,
        mem_mb=32000,  # asked of a cluster: Snakemake's own guess is 1 GB
    shell:
        "exec {sys.executable:q} -m mtkd.app.fork_server mtkd.app.runner {params.notebook} --results . --name {wildcards.run_id}"
        " --parameters {params.values:q}"


rule report:
    localrule: True
    input:
        [f"runs/{run_id}/record.json" for run_id in RUNS],
        ".sources/{name}.txt",
        "recipe.yaml",  # another recipe, of other runs that are there already
        VIEW,
    output:
        "reports/{name}.done",
    params:
        values=json.dumps({"recipe": RECIPE}),
    shell:
        "{sys.executable:q} -m mtkd.app.fork_server mtkd.app.runner {wildcards.name} --results . --name {wildcards.name}"
        " --parameters {params.values:q} && touch {output}"
