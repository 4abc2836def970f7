# The graph of runs. A recipe expands itself into runs (mtkd/experiments/plans.py), and what of them is
# due lacks its mark (mtkd/app/freshness.py); this file only says how one run is done. `mtkd reproduce`
# calls it with
#   snakemake --snakefile Snakefile --directory results/<recipe> --cores 2 --rerun-triggers mtime
# Paths are relative to results/<recipe>. A run's id holds the hash of all its settings and of its
# parents, so another setting is another file, and nothing stale can be taken for it.
import json
import sys
from pathlib import Path

from mtkd.app.freshness import REPORTS, notebook_mark, report_mark
from mtkd.experiments.plans import expand, upto, urgency
from mtkd.experiments.recipes import load_recipe

RECIPE = str(Path("recipe.yaml").resolve())
recipe = load_recipe(RECIPE)
EVERY = upto(expand(recipe), config.get("until"))
RUNS = {run.run_id: run for run in EVERY}
URGENCY = urgency(EVERY)
REPORTS = [] if config.get("until") else REPORTS


wildcard_constraints:
    run_id="[^/]+",


rule all:
    input:
        # Every output is a target: a result that went missing is made again, whatever rests on it.
        [f"runs/{run_id}/done" for run_id in RUNS],
        [f"reports/{name}.done" for name in REPORTS],


rule run:
    input:
        ancient(lambda w: [f"runs/{parent.run_id}/done" for parent in RUNS[w.run_id].parents]),
    output:
        "runs/{run_id}/done",
    params:
        notebook=lambda w: RUNS[w.run_id].notebook,
        values=lambda w: json.dumps({"recipe": RECIPE, **RUNS[w.run_id].parameters}),
        mark=lambda w: notebook_mark(RUNS[w.run_id].notebook),
    threads: 1
    # The runs that most rests on go first, so that no core is idle at the end.
    priority: lambda w: URGENCY[w.run_id]
    resources:
        gpu=1,
        mem_mb=32000,  # asked of a cluster: Snakemake's own guess is 1 GB
    shell:
        "exec {sys.executable:q} -P -m mtkd.app.fork_server mtkd.app.runner {params.notebook} --results ."
        " --name {wildcards.run_id} --done {output:q} --mark {params.mark} --parameters {params.values:q}"


rule report:
    localrule: True
    input:
        ancient([f"runs/{run_id}/done" for run_id in RUNS]),
    output:
        "reports/{name}.done",
    params:
        values=json.dumps({"recipe": RECIPE}),
        mark=lambda w: report_mark(recipe, EVERY, w.name),
    shell:
        "exec {sys.executable:q} -P -m mtkd.app.fork_server mtkd.app.runner {wildcards.name} --results ."
        " --name {wildcards.name} --done {output:q} --mark {params.mark} --parameters {params.values:q}"
