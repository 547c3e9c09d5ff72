"""``perfgate predict``: predicts memory, work and time of a step on a GPU, without needing one."""

import argparse
from dataclasses import replace
from typing import Any

from perfgate.cli.common import OK, add_command
from perfgate.cli.ini import add_preload, read_ini, with_preload
from perfgate.predict.emulated_step import card_of, emulated_step
from perfgate.predict.gpu_catalog import find_gpu
from perfgate.predict.options import MODES, OPTIONS, add_settings, mode_of
from perfgate.predict.predict import predict
from perfgate.predict.question import Question
from perfgate.predict.sweep import sweep
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError
from perfgate.workloads.models.shapes import find_shape


def add(commands: Any) -> None:
    """Declare the command and its options."""
    parser = add_command(commands, "predict", run, "predict the memory, work and time of a step on a GPU")
    parser.add_argument(
        "--model",
        required=True,
        metavar="NAME|FOLDER|HUB-ID@COMMIT",
        help="a known shape, or the place of a config.json",
    )
    parser.add_argument("--task", help="task of the model; default: its first one; text-to-image generates images")
    parser.add_argument(
        "--mode",
        choices=MODES,
        help="train, forward, generate, images, or denoiser, which trains the denoiser of an image model; "
        "default: images if the task is text-to-image, else train",
    )
    parser.add_argument(
        "--gpu",
        metavar="NAME",
        help="name of a GPU, such as H200 or a100-sxm-80gb; without it only sizes are predicted",
    )
    parser.add_argument(
        "--emulate",
        nargs="?",
        const="",
        metavar="CARD",
        help="also take the step on an emulated card; by default the card for --gpu",
    )
    add_preload(parser)
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="run the Python code that comes with the model"
    )
    add_settings(
        parser.add_argument_group(
            "settings", "Several values of a setting are separated by commas; every combination is predicted."
        )
    )


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Run the step dry, and compare its memory and work with the GPU's data sheet."""
    settings = {name: value for name in OPTIONS if (value := getattr(options, name)) is not None}
    model = find_shape(options.model, options.task, trust_remote_code=options.trust_remote_code)
    mode = mode_of(options.mode, model, options.task)
    gpu = None if options.gpu is None else find_gpu(options.gpu)
    ini = read_ini()
    preload = with_preload(ini, options.preload)
    card = None if options.emulate is None else card_of(gpu.name if gpu else None, options.emulate)
    if any(isinstance(value, tuple) for value in settings.values()):
        if card is not None:
            raise UserError("--emulate takes one step, and there are several here: name one value of each setting")
        found = sweep(model, options.task, mode, settings, gpu, preload, ini.programs)
        from perfgate.reports.sweep import sweep_report

        return OK, sweep_report(found)
    question = Question.of_options(model, options.task, mode, settings)
    prediction = predict(question, gpu, preload, ini.programs)
    if card is not None:
        prediction = replace(prediction, emulated=emulated_step(question.workload, card, preload, ini.programs))
    from perfgate.reports.prediction import prediction_report  # imports pandas, which a refusal need not pay

    return OK, prediction_report(prediction)
