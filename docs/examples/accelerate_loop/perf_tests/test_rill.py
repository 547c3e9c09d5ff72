from perfgate import Model, Workload

SHAPE = {"config": {"model_type": "rill"}, "classes": {"causal-lm": "AutoModelForCausalLM"}}


def test_training(perf):
    """This repository's own loop."""
    perf(Workload("programs:Training", {"batch_size": 8}))


def test_forward(perf, forward):
    """The model alone, in a program of Perfgate's."""
    perf(forward(Model.from_shape("rill", SHAPE), batch_size=4, sequence_length=64))
