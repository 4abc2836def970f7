"""mtkd: multi-task deep neural networks distilled from ensembles of teachers, on GLUE."""

import warnings

# tqdm's note on missing notebook widgets would head every executed notebook; text bars do.
warnings.filterwarnings("ignore", message="IProgress not found")
