"""The settings of loading a model from its files."""

from perfgate.shared.settings.common import PRECISION, PRECISIONS, QUANTIZATION
from perfgate.shared.settings.declaration import Kind, Need, Settings, choice, size


def mapped_and_not_sparing(settings: Settings) -> str:
    """A map of devices needs a model without weights, into which they are loaded one by one."""
    if settings.get("device_map") == "auto" and settings.get("low_cpu_mem_usage") == "off":
        return "device_map='auto' loads weights one by one; leave out low_cpu_mem_usage='off'"
    return ""


MODEL_LOADING = Kind(
    "loading",
    (
        size("batch_size", 1, "samples of the first call"),
        size("sequence_length", 16, "tokens of a sample of the first call"),
        choice("files", ("one", "sharded"), "whether all weights are in one file, or in several of a quarter at most"),
        choice("stored", PRECISIONS, "number type of the weights in the files"),
        PRECISION.but(doc="number type that the weights are loaded in", option=""),
        choice(
            "device_map",
            ("default", "auto"),
            "where weights are put as they are loaded; `default` loads on the host, and then moves the model",
            unread="on one device a model looks the same either way",
        ),
        choice(
            "low_cpu_mem_usage",
            ("default", "on", "off"),
            "whether the model is made without weights before they are read; newer versions always do so",
            conflicts=(mapped_and_not_sparing,),
            unread="transformers keeps no trace of it; it shows in the peak of memory",
        ),
        QUANTIZATION,
        choice(
            "compile",
            ("off", "cold", "warm"),
            "whether the first call compiles the model, with inductor's cache empty or filled",
            needs=(Need(compiler=True, dry=False),),
        ),
    ),
)
