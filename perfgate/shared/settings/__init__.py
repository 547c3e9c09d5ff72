"""The settings of workloads, each declared once.

Everything else about settings is made from these declarations: the checks of user input, the dataclasses for programs,
the requirements on a machine, the options of ``perfgate predict``, and ``docs/settings.md``.
"""

from collections.abc import Mapping

from perfgate.shared.settings.data import READING, TOKENIZING
from perfgate.shared.settings.declaration import Kind, Need, Setting, Settings, asked
from perfgate.shared.settings.images import DENOISER_TRAINING, IMAGE_GENERATION
from perfgate.shared.settings.inference import FORWARD, GENERATION
from perfgate.shared.settings.model_loading import MODEL_LOADING
from perfgate.shared.settings.operators import CONTRACTIONS, ELEMENTWISE, NORMALIZATIONS, OPERATORS
from perfgate.shared.settings.operators import SETTINGS as OPERATOR
from perfgate.shared.settings.serving import SERVING
from perfgate.shared.settings.training import TRAINING

OF_MODELS = (TRAINING, GENERATION, SERVING, FORWARD, IMAGE_GENERATION, DENOISER_TRAINING, MODEL_LOADING)
OF_DATA = (TOKENIZING, READING)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (*OF_MODELS, *OF_DATA, *OPERATORS.values())}

__all__ = [
    "CONTRACTIONS",
    "DENOISER_TRAINING",
    "ELEMENTWISE",
    "FORWARD",
    "GENERATION",
    "IMAGE_GENERATION",
    "KINDS",
    "MODEL_LOADING",
    "NORMALIZATIONS",
    "OPERATOR",
    "OPERATORS",
    "READING",
    "SERVING",
    "TOKENIZING",
    "TRAINING",
    "Kind",
    "Need",
    "Setting",
    "Settings",
    "asked",
]
