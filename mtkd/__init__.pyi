# The public API: each name, and the module that it is imported from when it is first used.
from mtkd.app.project import Project as Project
from mtkd.common.errors import MtkdError as MtkdError
from mtkd.data.batches import TaskData as TaskData
from mtkd.data.batches import tokenize as tokenize
from mtkd.data.given_settings import GivenTeacher as GivenTeacher
from mtkd.data.loading import DataSource as DataSource
from mtkd.data.loading import load_examples as load_examples
from mtkd.data.metrics import compute as score  # noqa: F401
from mtkd.data.metrics import metric as metric
from mtkd.data.metrics import task_score as task_score
from mtkd.data.own_settings import OwnTask as OwnTask
from mtkd.data.own_tasks import own_examples as own_examples
from mtkd.data.own_tasks import own_task as own_task
from mtkd.data.tasks import GLUE as GLUE
from mtkd.data.tasks import Examples as Examples
from mtkd.data.tasks import Task as Task
from mtkd.data.toy.corpus import toy_corpus as toy_corpus
from mtkd.data.toy.files import toy_files as toy_files
from mtkd.experiments.recipes import load_recipe as load_recipe
from mtkd.experiments.studies.study import register_study as study  # noqa: F401
from mtkd.experiments.systems.baselines import register_baseline as baseline  # noqa: F401
from mtkd.method.distillation import distillation_loss as distillation_loss
from mtkd.method.export.folder import export as export
from mtkd.method.export.hub import push_to_hub as push_to_hub
from mtkd.method.given import given_predictions as given_predictions
from mtkd.method.heads import head as head
from mtkd.method.model import MultiTaskModel as MultiTaskModel
from mtkd.method.prediction import evaluate as evaluate
from mtkd.method.prediction import predict as predict
from mtkd.method.pretraining import pretrain as pretrain
from mtkd.method.settings import Distillation as Distillation
from mtkd.method.settings import HeadSpec as HeadSpec
from mtkd.method.settings import Pretraining as Pretraining
from mtkd.method.settings import Training as Training
from mtkd.method.targets import average as average
from mtkd.method.targets import average_predictions as average_predictions
from mtkd.method.training import train as train
from mtkd.runtime import Student as Student

__version__: str
