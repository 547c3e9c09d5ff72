"""Models and data sets of the hub: the real client against a hub on localhost, and what is said when it fails."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from perfgate.shared.errors import UserError
from perfgate.workloads import tasks
from perfgate.workloads.models.model import AUTO_CLASSES, Model
from tests import ROOT
from tests.support.hub import Hub, running_hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = json.dumps({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]})
WEIGHTS = bytes(range(256)) * 40
MODEL = {"config.json": CONFIG, "model.safetensors": WEIGHTS, "pytorch_model.bin": b"pickle", "README.md": "tiny"}
PROVIDE = """
import json, sys
from perfgate.shared.errors import UserError
from perfgate.workloads.provide import provide
from perfgate.shared.workload import Workload
try:
    provide(Workload(**json.loads(sys.argv[1])), print, "cpu" if sys.argv[2] == "True" else "none")
except UserError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    """An empty hub."""
    with running_hub() as found:
        yield found


@pytest.fixture
def env(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """Variables of a process that knows no other hub, and whose cache is empty."""
    return environment(hub, tmp_path)


def environment(hub: Hub, home: Path) -> dict[str, str]:
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home / "hf"), "HF_HUB_ETAG_TIMEOUT": "1"}
    own |= {"HF_HUB_DISABLE_TELEMETRY": "1"}  # or the client asks for more than it is told to
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    return inherited | own | {"PYTHONPATH": str(ROOT)}


def bring(env: Mapping[str, str], workload: Any, weights: bool = True) -> subprocess.CompletedProcess[str]:
    """Provide what a workload needs, in a process of its own."""
    command = [sys.executable, "-c", PROVIDE, json.dumps({**workload.order, "id": workload.id}), str(weights)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def refused(env: Mapping[str, str], workload: Any) -> str:
    """The one sentence with which it is refused."""
    done = bring(env, workload)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("refused: ")
    return line.removeprefix("refused: ")


def predicted(env: Mapping[str, str], model: str) -> str:
    """What ``perfgate predict`` says of a model that it cannot have, which is one line."""
    command = [sys.executable, "-m", "perfgate", "predict", "--model", model, "--batch-size", "1", "--seq-len", "8"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line.removeprefix("perfgate: ")


# -- what is written, and what is hashed ------------------------------------------------------------------------------


def test_a_workload_holds_id_and_commit_and_nothing_of_this_machine() -> None:
    workload = tasks.generation(f"org/tiny@{COMMIT}")

    assert workload.params["model"] == {"class": "AutoModelForCausalLM", "hub": "org/tiny", "revision": COMMIT}
    assert (workload.model, Model.from_hub(f"org/tiny@{COMMIT}").classes) == ("tiny", AUTO_CLASSES)


def test_a_model_of_the_hub_is_a_shape_like_any_other() -> None:
    shape = {"hub": "org/tiny", "revision": COMMIT, "classes": {"causal-lm": "GPT2LMHeadModel"}}

    assert Model.from_shape("small", shape).source == {"hub": "org/tiny", "revision": COMMIT}
    with pytest.raises(UserError, match="model 'org/tiny' is not pinned, because 'main' can move; write org/tiny@"):
        Model.from_shape("small", {**shape, "revision": "main"})


def test_code_of_a_model_runs_only_if_trust_remote_code_is_named() -> None:
    trusted = Model.from_hub(f"org/tiny@{COMMIT}", trust_remote_code=True)

    assert "trust_remote_code" not in Model.from_hub(f"org/tiny@{COMMIT}").source
    assert tasks.forward(trusted).params["model"]["trust_remote_code"] is True


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"config": {}, "revision": COMMIT}, "has a 'revision' but no 'hub'"),
        ({"folder": "f", "gguf": "a.gguf"}, "has a 'gguf' but neither a 'hub' nor a 'package'"),
        ({"package": "p", "gguf": "a.gguf"}, 'a.gguf needs its checksum, as in "sha256"'),
        (
            {"hub": "org/tiny", "revision": COMMIT, "trust_remote_code": "yes"},
            "'trust_remote_code' must be true or false",
        ),
        ({"hub": "tiny", "revision": COMMIT}, "is not an id of the hub; write org/name@COMMIT"),
    ],
)
def test_a_source_that_does_not_identify_its_files_is_refused(details: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Model.from_shape("small", {"classes": {"causal-lm": "GPT2LMHeadModel"}, **details})


def test_a_model_that_ends_in_a_path_is_told_how_to_name_a_gguf_file() -> None:
    with pytest.raises(UserError, match=r"name a GGUF file with gguf='q4\.gguf'"):
        Model.from_hub(f"org/tiny@{COMMIT}/q4.gguf")


def test_data_of_the_hub_is_a_file_at_a_commit() -> None:
    text = tasks.training(f"org/tiny@{COMMIT}", data=f"org/talk@{COMMIT}/data/train.parquet")
    named = {"hub": "org/talk", "revision": COMMIT, "file": "data/train.parquet"}

    assert text.params["data"] == named
    assert tasks.training(f"org/tiny@{COMMIT}", data={**named, "column": "said"}).params["data"]["column"] == "said"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (f"org/talk@{COMMIT}", r"needs a file, as in org/talk@COMMIT/data/train\.parquet"),
        (f"org/talk@{COMMIT}/rows.pkl", r"that ends in \.parquet, .*, but 'rows\.pkl' is named"),
        ({"hub": "org/talk", "revision": COMMIT, "path": "a.csv"}, "data has unknown keys path"),
        ([], "real text must be a list of texts or conversations"),
        ([[{"role": "user"}]], "a conversation must be a list of messages with 'role' and 'content'"),
    ],
)
def test_data_of_another_form_is_refused(data: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        tasks.training(f"org/tiny@{COMMIT}", data=data)


def test_real_text_needs_a_tokenizer_and_a_task_for_it() -> None:
    shape = Model("bert", {"config": {"model_type": "bert"}}, {"causal-lm": "BertLMHeadModel"})

    with pytest.raises(UserError, match="model 'bert' is a shape and has no tokenizer"):
        tasks.generation(shape, prompts=["Hello"])
    with pytest.raises(UserError, match="data is text for causal-lm; leave it out for other tasks of 'tiny'"):
        tasks.training(f"org/tiny@{COMMIT}", task="masked-lm", data=["Hello"])


# -- what is downloaded -----------------------------------------------------------------------------------------------


def test_only_what_is_loaded_is_downloaded_and_only_once(hub: Hub, env: dict[str, str]) -> None:
    commit = hub.add("org/tiny", {**MODEL, "own.py": "raise SystemExit"})
    workload = tasks.generation(f"org/tiny@{commit}")

    dry = bring(env, workload, weights=False)
    assert dry.stdout.split(": ")[1:] == ["config.json\n"]
    assert hub.fetched() == ["config.json"]

    assert bring(env, workload).returncode == 0
    assert [path.rpartition("/")[2] for _, path in hub.requests if "/storage/" in path] == ["model.safetensors"]
    assert hub.fetched() == ["config.json"], "and no code, which nothing allowed"
    asked = len(hub.requests)
    done = bring(env | {"HF_HUB_OFFLINE": "1"}, workload)
    assert (done.returncode, done.stdout, len(hub.requests)) == (0, "", asked)


def test_shards_are_brought_one_and_all(hub: Hub, env: dict[str, str]) -> None:
    parts = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = json.dumps({"weight_map": dict(zip("ab", parts, strict=True))})
    files = {"config.json": CONFIG, "model.safetensors.index.json": index, "onnx/model.safetensors": b"x"}

    whole = tasks.generation(f"org/tiny@{hub.add('org/tiny', {**files, parts[0]: b'1', parts[1]: b'2'})}")
    assert [line.rpartition(": ")[2] for line in bring(env, whole).stdout.splitlines()][-2:] == parts
    assert not any("onnx" in path for _, path in hub.requests)
    asked = len(hub.requests)
    assert bring(env, whole).returncode == 0
    assert len(hub.requests) == asked

    half = tasks.generation(f"org/half@{hub.add('org/half', {**files, parts[0]: b'1'})}")
    assert refused(env, half).endswith("lacks files that its model.safetensors.index.json or its configuration names")


def test_a_connection_that_breaks_once_goes_on_where_it_was(hub: Hub, env: dict[str, str]) -> None:
    workload = tasks.generation(f"org/tiny@{hub.add('org/tiny', MODEL)}")
    hub.faults["model.safetensors"] = "cut once"

    assert bring(env, workload).returncode == 0
    (path,) = (Path(env["HF_HOME"]) / "hub").glob("models--org--tiny/snapshots/*/model.safetensors")
    assert path.read_bytes() == WEIGHTS


def test_a_file_of_a_data_set_is_brought_in(hub: Hub, env: dict[str, str]) -> None:
    commit = hub.add("org/talk", {"a.jsonl": '{"text": "One."}\n', "b.jsonl": "{}"}, "datasets")
    hub.add("org/tiny", MODEL)
    model = f"org/tiny@{next(iter(hub.repos['models/org/tiny'].commits))}"

    assert bring(env, tasks.training(model, data=f"org/talk@{commit}/a.jsonl"), weights=False).returncode == 0
    assert hub.fetched() == ["config.json", "a.jsonl"]
    said = refused(env, tasks.training(model, data=f"org/talk@{commit}/c.jsonl"))
    assert said == f"data set org/talk@{commit[:12]} has no file c.jsonl; it has a.jsonl, b.jsonl"


# -- what goes wrong, in one sentence each ----------------------------------------------------------------------------


def test_the_message_for_an_id_without_a_commit_names_the_current_one(hub: Hub, env: dict[str, str]) -> None:
    commit = hub.add("org/tiny", MODEL)
    pin = f"write org/tiny@{commit}, its current commit"

    assert (
        predicted(env, "org/tiny")
        == f"model 'org/tiny' is not a folder, and as an id of the hub it has no commit; {pin}"
    )
    assert predicted(env, "org/tiny@main") == f"model 'org/tiny' is not pinned, because 'main' can move; {pin}"
    form = "write org/tiny@COMMIT with the 40 digits of a commit, which the hub lists under 'History'"
    assert predicted(env | {"HF_HUB_OFFLINE": "1"}, "org/tiny").endswith(f"it has no commit; {form}")


def test_a_commit_that_is_gone(hub: Hub, env: dict[str, str]) -> None:
    commit = hub.add("org/tiny", MODEL)

    said = predicted(env, f"org/tiny@{COMMIT}")
    assert said == f"model org/tiny@{COMMIT[:12]}: this commit does not exist (any more); it is at {commit} now"


def test_no_such_repository(hub: Hub, env: dict[str, str]) -> None:
    said = predicted(env, f"org/none@{COMMIT}")
    where = f"model org/none@{COMMIT[:12]}: {hub.url}"
    assert said == f"{where} has no such repository, or it is private: log in with hf auth login"


def test_a_gated_repository(hub: Hub, env: dict[str, str]) -> None:
    commit = hub.add("org/tiny", MODEL)
    hub.repos["models/org/tiny"].gated = True

    said = predicted(env, f"org/tiny@{commit}")
    page = f"ask for access at {hub.url}/org/tiny, then log in with hf auth login"
    assert said == f"model org/tiny@{commit[:12]} is gated: {page}"


def test_offline_and_not_in_the_cache(env: dict[str, str]) -> None:
    said = predicted(env | {"HF_HUB_OFFLINE": "1"}, f"org/tiny@{COMMIT}")
    get = f"where there is a network: hf download org/tiny --revision {COMMIT}"
    assert said == f"model org/tiny@{COMMIT[:12]} is not in {env['HF_HOME']}/hub and HF_HUB_OFFLINE is set; {get}"


def test_a_hub_that_does_not_answer(hub: Hub, env: dict[str, str]) -> None:
    commit = hub.add("org/tiny", MODEL)
    hub.faults["api"] = "stall"

    said = predicted(env, f"org/tiny@{commit}")
    assert said.startswith(f"model org/tiny@{commit[:12]} cannot be downloaded from {hub.url}: ReadTimeout")


def test_a_hub_that_is_not_there(env: dict[str, str]) -> None:
    said = predicted(env | {"HF_ENDPOINT": "http://127.0.0.1:9"}, f"org/tiny@{COMMIT}")
    assert said.startswith(f"model org/tiny@{COMMIT[:12]} cannot be downloaded from http://127.0.0.1:9: ConnectError")


def test_a_connection_that_always_breaks(hub: Hub, env: dict[str, str]) -> None:
    workload = tasks.generation(f"org/tiny@{hub.add('org/tiny', MODEL)}")
    hub.faults["model.safetensors"] = "cut"

    assert f"cannot be downloaded from {hub.url}: RemoteProtocolError" in refused(env, workload)


def test_a_file_that_is_listed_and_missing(hub: Hub, env: dict[str, str]) -> None:
    workload = tasks.generation(f"org/tiny@{hub.add('org/tiny', MODEL)}")
    hub.faults["model.safetensors"] = "missing"

    said = refused(env, workload)
    assert "a file is missing: Entry Not Found for url: " in said
    assert said.endswith("model.safetensors")


@pytest.mark.parametrize(("name", "kind"), [("model.safetensors", "sha256"), ("config.json", "git sum")])
def test_a_file_that_is_not_what_the_hub_announced_is_dropped(
    name: str, kind: str, hub: Hub, env: dict[str, str]
) -> None:
    workload = tasks.generation(f"org/tiny@{hub.add('org/tiny', MODEL)}")
    hub.faults[name] = "tampered"

    said = refused(env, workload)
    assert f": {name} arrived with {kind} " in said
    assert said.endswith("it was deleted; run again to download it once more")
    del hub.faults[name]
    assert bring(env, workload).returncode == 0


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"config.json": CONFIG, "pytorch_model.bin": b""},
            "no .safetensors weights; other formats are not loaded; it ",
        ),
        ({"a.gguf": b"", "b.gguf": b""}, "has no config.json; it has a.gguf, b.gguf: name one with gguf=NAME"),
        ({"README.md": ""}, "has no config.json"),
        ({"config.json": CONFIG, "model.safetensors.index.json": "{", "model-1-of-1.safetensors": b""}, "lacks files"),
    ],
)
def test_a_repository_without_files_that_perfgate_loads(
    files: Mapping[str, bytes | str], said: str, hub: Hub, env: dict[str, str]
) -> None:
    workload = tasks.generation(f"org/tiny@{hub.add('org/tiny', files)}")

    assert said in refused(env, workload)
    assert not any(name.endswith(".bin") for name in hub.fetched())


@pytest.mark.slice
def test_a_gguf_file_must_be_there_and_be_one(hub: Hub, env: dict[str, str]) -> None:
    pin = f"org/tiny@{hub.add('org/tiny', {'a.gguf': b'none', 'config.json': CONFIG})}"

    said = refused(env, tasks.generation(Model.from_hub(pin, gguf="b.gguf")))
    assert said == f"{pin[:21]} has no file b.gguf; it has a.gguf"
    assert refused(env, tasks.generation(Model.from_hub(pin, gguf="a.gguf"))).startswith("a.gguf cannot be converted: ")
    assert [path for _, path in hub.requests if "config.json" in path] == []


def test_code_that_lies_in_another_repository_is_not_pinned(hub: Hub, env: dict[str, str]) -> None:
    config = json.dumps({"auto_map": {"AutoModelForCausalLM": "org/other--code.Model"}})
    commit = hub.add("org/tiny", {"config.json": config, "model.safetensors": b"", "code.py": ""})

    said = refused(env, tasks.generation(Model.from_hub(f"org/tiny@{commit}", trust_remote_code=True)))
    assert said == "org/tiny runs code from another repository, for which no commit is pinned: org/other--code.Model"
