"""A model and a data set of the hub from end to end: real weights, tokenizer and code, through real runs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from perfgate.records.runfile import RunFile, read
from tests.support.hub import running_hub
from tests.workloads.models.test_hub import environment

MAKE = """
import json
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

words = ["<end>", "<user>", "<assistant>", "<unknown>", "one", "two", "three", "four", "?", "."]
plain = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unknown>"))
plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="<end>", unk_token="<unknown>")
tokenizer.chat_template = (
    "{% for message in messages %}<{{ message.role }}> {{ message.content }} <end> {% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1)
model = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), max_position_embeddings=64, **sizes))
model.save_pretrained("tiny")
tokenizer.save_pretrained("tiny")

from perfgate.actor.data.text import prompt_batch, text_rows

question, answer = {"role": "user", "content": "one ?"}, {"role": "assistant", "content": "two ."}
rows = text_rows(tokenizer, [[question, answer], "three four"], rows=2, length=6)
batch = prompt_batch(tokenizer, [[question], [question, answer, question]], batch_size=3, length=8)
written = {
    "rows": tokenizer.decode(rows["input_ids"][:].flatten()),
    "learned": tokenizer.decode(rows["labels"][:].flatten()),
    "prompts": tokenizer.batch_decode(batch["input_ids"]),
    "real": batch["attention_mask"].sum(-1).tolist(),
}
Path("written.json").write_text(json.dumps(written))
"""
CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM

Path({marker!r}).touch()


class OwnConfig(LlamaConfig):
    model_type = "own"


class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""
TALK = """{"messages": [{"role": "user", "content": "one ?"}, {"role": "assistant", "content": "two ."}]}
{"messages": [{"role": "user", "content": "three ?"}, {"role": "assistant", "content": "four ."}]}
"""
SUITE = """
import pytest
from perfgate.workloads.models.model import Model

TINY, OWN, TALK = "org/tiny@{tiny}", "org/own@{own}", "org/talk@{talk}/talk.jsonl"
QUESTIONS = [[{{"role": "user", "content": "one ?"}}], [{{"role": "user", "content": "one two three four ?"}}]]


def test_generation(perf, generation):
    perf(generation(TINY, prompts=QUESTIONS, batch_size=2, prompt_length=16, new_tokens=2))


@pytest.mark.parametrize("loop", ["trainer", "accelerate"])
def test_training(perf, training, loop):
    perf(training(TINY, data=TALK, loop=loop, batch_size=2, sequence_length=8))


@pytest.mark.perf(dry=True)
@pytest.mark.parametrize("trusted", [False, True])
def test_code(perf, generation, trusted):
    perf(generation(Model.from_hub(OWN, trust_remote_code=trusted), new_tokens=2))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A suite over a hub that holds a tiny model, the same as a model with its own code, and conversations."""
    path = tmp_path_factory.mktemp("hub")
    subprocess.run([sys.executable, "-c", MAKE], cwd=path, check=True, capture_output=True)
    files = {file.name: file.read_bytes() for file in (path / "tiny").iterdir()}
    config = files["config.json"].replace(b'"model_type": "llama"', b'"model_type": "own"')
    classes = b'"auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"},\n  "architectures"'
    code = CODE.format(marker=str(path / "code-ran"))
    with running_hub() as hub:
        commits = {
            "tiny": hub.add("org/tiny", files),
            "own": hub.add(
                "org/own", {**files, "config.json": config.replace(b'"architectures"', classes), "own.py": code}
            ),
            "talk": hub.add("org/talk", {"talk.jsonl": TALK}, "datasets"),
        }
        (path / "perf_tests").mkdir()
        (path / "perf_tests" / "test_hub.py").write_text(SUITE.format(**commits))
        (path / "pytest.ini").write_text("[pytest]\nperf_launches = 1\n")
        yield SimpleNamespace(hub=hub, path=path, env=environment(hub, path))


def run(place: SimpleNamespace, *arguments: str) -> tuple[RunFile, str]:
    """Run the suite; returns its run file and what it printed."""
    command = [sys.executable, "-m", "pytest", "perf_tests", *arguments]
    done = subprocess.run(command, cwd=place.path, env=place.env, capture_output=True, text=True, check=False)
    (file,) = (place.path / "perf_output").glob("*.jsonl")
    return read(file.rename(place.path / file.name)), done.stdout


@pytest.mark.slice
def test_a_dry_run_asks_for_no_weights_and_runs_no_code_unasked(place: SimpleNamespace) -> None:
    found, said = run(place, "--perf-device", "none", "-k", "generation or code")

    dry = {case.partition("::")[2]: launches[0] for case, launches in found.by_case().items()}
    reasons = {case: launch.invalid for case, launch in dry.items() if launch.invalid}
    assert list(reasons) == ["test_code[False]"], said
    assert "does not know the architecture 'own' of org/own; its own code lies beside" in str(
        reasons["test_code[False]"]
    )
    assert "trust_remote_code" in str(reasons["test_code[False]"])
    assert (place.path / "code-ran").exists()
    assert "own.py" in place.hub.fetched()
    assert not any("/storage/" in path for _, path in place.hub.requests)


@pytest.mark.slice
def test_a_real_run_fetches_each_file_once_ahead_of_the_actors(place: SimpleNamespace) -> None:
    before = len(place.hub.requests)
    found, said = run(place, "-k", "generation or training")

    # The pass that takes no time, so that a busy machine has no say in it.
    counted = {launch.case.partition("::")[2]: launch for launch in found.launches if launch.pass_name == "counters"}
    assert {case: launch.invalid for case, launch in counted.items()} == dict.fromkeys(
        ["test_generation", "test_training[trainer]", "test_training[accelerate]"]
    ), said
    assert (counted["test_generation"].tokens, counted["test_training[trainer]"].tokens) == (4, 16)
    assert not any(launch.fault for launch in found.launches)
    contents = [path for method, path in place.hub.requests if method == "GET" and "/api/" not in path]
    assert len(contents) == len(set(contents))
    # Nobody asked for more than what was to be brought in: the weights, and the data.
    asked = [path.partition("/revision/")[0] for _, path in place.hub.requests[before:] if "/api/" in path]
    assert asked == ["/api/models/org/tiny", "/api/datasets/org/talk"]
    model = found.workloads["test_hub.py::test_generation"]["spec"]["params"]["model"]
    assert set(model) == {"class", "hub", "revision"}


@pytest.mark.slice
def test_conversations_go_through_the_models_own_template(place: SimpleNamespace) -> None:
    written = json.loads((place.path / "written.json").read_text())

    talk = "<user> one ? <end> <assistant> two . <end> three four <end> <user>"
    assert written["rows"] == written["learned"] == talk
    short = "<end> <end> <end> <user> one ? <end> <assistant>"
    # Too long a prompt loses its beginning, not the question.
    assert written["prompts"] == [short, "two . <end> <user> one ? <end> <assistant>", short]
    assert written["real"] == [5, 8, 5]
