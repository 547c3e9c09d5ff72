"""What a run may touch: each sentence of docs/security.md names the test that checks it, most of them here."""

import ast
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from perfgate.records.runfile import Writer, merge
from perfgate.records.shards import write as write_merged
from perfgate.records.store import Store
from perfgate.reference.build_step import run
from perfgate.reference.environment import Recipe, built
from perfgate.reference.worktree import Worktree
from perfgate.remote.fleet.fleet import Fleet, Plan
from perfgate.remote.forges.forge import Client
from perfgate.shared.credentials import all_concealed, concealed
from perfgate.shared.errors import UserError
from perfgate.shared.private import write_no_link
from perfgate.system.surroundings import surroundings
from tests import ROOT
from tests.support import repositories
from tests.support.release import SMOKE
from tests.support.runs import CASE, MACHINE, SOFTWARE, timed_baseline

PAGE = ROOT / "docs" / "security.md"
CANARY = "canary-4f1d"
NAME = str(MACHINE["name"])
# Written into each process, and into what it starts: every address that Python code connects to, or asks for.
RECORDER = """
import os, socket, sys

def note(event, arguments):
    if event == "socket.connect" and arguments[0].family != socket.AF_UNIX or event == "socket.getaddrinfo":
        with open({log!r}, "a") as file:
            file.write(f"{{event}} {{arguments[1:] if event == 'socket.connect' else arguments[:2]}}\\n")

sys.addaudithook(note)
"""


def test_each_sentence_of_the_page_names_a_test_that_exists():
    rows = re.findall(r"^\| (.+) \| `(tests/[\w/]+\.py)::(test_\w+)` \|$", PAGE.read_text(), re.MULTILINE)
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|") and not re.match(r"\|[-|]+$", line)]

    assert len(rows) > 12
    assert len(rows) == len([line for line in lines if not line.startswith("| what holds")])
    for _, file, name in rows:
        assert f"def {name}(" in (ROOT / file).read_text(), name


# -- the network ------------------------------------------------------------------------------------------------------


def without_network() -> list[str]:
    """The beginning of a command that runs without any network; empty where this user may not have that."""
    command = ["unshare", "--net"]
    allowed = shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if allowed and allowed.returncode == 0 else []


def connections(suite, case: str, *arguments: str, prefix: Sequence[str] = ()) -> tuple[pytest.RunResult, list[str]]:
    """The end of a run, and what its processes connected to or asked for."""
    log, hooks = suite.path / "connections", suite.path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(RECORDER.format(log=str(log)))
    (suite.path / "perf_tests" / "test_case.py").write_text(case)
    command = [*prefix, "env", f"PYTHONPATH={hooks}", sys.executable, "-m", "pytest", "perf_tests", *arguments]
    done = suite.pytester.run(*command)
    return done, log.read_text().splitlines() if log.exists() else []


@pytest.mark.slice
@pytest.mark.untimed
def test_a_run_of_a_shape_connects_to_nothing(suite):
    done, seen = connections(suite, SMOKE, "--perf-device=cpu", "--perf-launches=1", prefix=without_network())

    done.assert_outcomes(passed=1)
    assert seen == []


@pytest.mark.slice
@pytest.mark.untimed
def test_a_case_that_names_a_model_of_the_hub_asks_the_hub_alone(suite, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(suite.path / "hf"))
    case = f"def test_it(perf, training):\n    perf(training('org/tiny@{'0' * 40}', batch_size=1, sequence_length=8))\n"
    done, seen = connections(suite, case, "--perf-device=none")

    done.assert_outcomes(failed=1)
    assert seen
    assert all("127.0.0.1" in line for line in seen)


# -- code that is run -------------------------------------------------------------------------------------------------


@pytest.mark.slice
@pytest.mark.untimed
def test_code_in_a_folder_does_not_run_unless_it_is_named(suite):
    names = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}
    about = {"model_type": "own", "architectures": ["Own"], "auto_map": names}
    for folder in (suite.path / "perf_tests" / "unnamed", suite.path / "perf_tests" / "named"):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(about))
        (folder / "model.safetensors").touch()
        (folder / "own.py").write_text(f"open({str(suite.path / folder.name)!r}, 'w').close()\n")
    suite.write(
        "from perfgate import Model\n\nMODELS = ['unnamed', Model.from_folder('named', trust_remote_code=True)]\n\n"
        "@pytest.mark.parametrize('model', MODELS)\n"
        "def test_it(perf, training, model):\n"
        "    perf(training(model, batch_size=1, sequence_length=8))\n"
    )
    done = suite.run("--perf-device", "none")

    done.stdout.fnmatch_lines(["*test_it?unnamed?*code lies beside its weights*trust_remote_code=True*"])
    assert not (suite.path / "unnamed").exists()
    assert (suite.path / "named").exists(), "so the first one would have been seen"


def unsafe(tree: ast.AST) -> Iterator[str]:
    """What a module does that could run code from a file."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            if name.partition(".")[0] in ("pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"):
                yield f"imports {name}"
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called in ("eval", "exec"):
            yield called
        if called == "torch.load" and given.get("weights_only") != "True":
            yield "torch.load without weights_only=True"
        if given.get("allow_pickle", "False") != "False":
            yield f"{called} with allow_pickle"
        if given.get("trust_remote_code") == "True":
            yield f"{called} trusts code"


@pytest.mark.slice
def test_no_module_reads_a_pickle_or_runs_text():
    found = {str(path): [*unsafe(ast.parse(path.read_text()))] for path in (ROOT / "perfgate").rglob("*.py")}
    assert {path: what for path, what in found.items() if what} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import pickle", 1),
        ("from dill import loads", 1),
        ("torch.load(path)", 1),
        ("torch.load(path, weights_only=True)", 0),
        ("numpy.load(path, allow_pickle=True)", 1),
        ("AutoConfig.from_pretrained(path, trust_remote_code=True)", 1),
        ("AutoConfig.from_pretrained(path, trust_remote_code=trusted(spec))", 0),
        ("eval(text)", 1),
        ("model.eval()", 0),
    ],
)
def test_what_could_run_code_from_a_file_is_seen(text, found):
    assert len([*unsafe(ast.parse(text))]) == found


# -- folders and links ------------------------------------------------------------------------------------------------


def alone(folder: Path) -> bool:
    """Whether nobody but this user reads or writes a folder."""
    return stat.S_IMODE(folder.stat().st_mode) == 0o700 and folder.stat().st_uid == os.getuid()


@pytest.fixture
def repository(tmp_path):
    """A repository with a file in a folder below it."""
    folder = tmp_path / "repository"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "code.py").write_text("")
    repositories.begin(folder)
    return folder


def test_a_revision_is_checked_out_for_this_user_alone_under_a_name_that_nobody_can_guess(repository):
    commit = repositories.git(repository, "rev-parse", "HEAD")
    first, second = Worktree(repository, commit), Worktree(repository, commit)
    parents = [worktree.folder.parent for worktree in (first, second)]
    try:
        assert all(map(alone, parents))
        assert parents[0] != parents[1]
    finally:
        first.close()
        second.close()
    assert not any(parent.exists() for parent in parents)


def test_a_revision_in_which_the_folder_is_a_link_out_of_the_repository_is_refused(repository, tmp_path):
    outside = tmp_path / "outside"
    shutil.copytree(repository / "inner", outside)
    shutil.rmtree(repository / "inner")
    (repository / "inner").symlink_to(outside)
    linked = repositories.commit(repository)
    (repository / "inner").unlink()
    (repository / "inner").mkdir()

    with pytest.raises(UserError, match="is a link out of the repository"):
        Worktree(repository / "inner", linked)
    assert len(repositories.worktrees(repository)) == 1


@pytest.mark.slice
def test_an_environment_lies_in_a_folder_of_this_user_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    python = Path(built(Recipe(tmp_path, []), "--perf-ref"))
    assert alone(python.parent.parent.parent)


def test_jobs_of_a_fleet_lie_in_a_folder_of_this_user_alone(tmp_path):
    pytest.importorskip("submitit")
    (tmp_path / "jobs").mkdir(mode=0o777)
    plan = Plan("local", 1, (), str(tmp_path), {}, 1, {})
    Fleet(tmp_path, plan, lambda line: None)
    assert alone(tmp_path / "jobs")


WRITERS = {
    "run.part": Writer,
    "run.tmp": lambda path: merge(path.with_suffix(".jsonl"), {}, []),
    ".run.jsonl.tmp": lambda path: write_merged(path.with_name("run.jsonl"), {}, [], {}),
    "run.html": lambda path: write_no_link(path, "text"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_link_in_the_output_folder_does_not_lead_to_another_file(tmp_path, name):
    outside, output = tmp_path / "outside", tmp_path / "perf_output"
    outside.write_text("precious")
    output.mkdir()
    (output / name).symlink_to(outside)

    with pytest.raises(UserError, match="is a link, and is not followed"):
        WRITERS[name](output / name)
    assert outside.read_text() == "precious"


@pytest.mark.untimed
def test_a_page_whose_place_a_link_has_taken_is_not_written(suite):
    (suite.path / "perf_output").mkdir()
    precious = suite.path / "precious"
    precious.write_text("precious")
    # Nobody knows the name of a run before it begins, so the case itself puts a link in the place of its page.
    suite.write(
        "import pathlib\n\n"
        "def test_it(perf):\n"
        "    for run in pathlib.Path('perf_output').glob('*.claim'):\n"
        "        run.with_suffix('.html').symlink_to('../precious')\n"
        "    perf(work())\n"
    )
    done = suite.run("-o", "perf_html=auto")

    assert precious.read_text() == "precious"
    done.stdout.fnmatch_lines(["*.html: is a link, and is not followed; remove it*"])
    done.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("below", [".", "training"])
def test_nothing_is_made_where_a_link_leads_out_of_the_baselines(tmp_path, below):
    outside, root = tmp_path / "outside", tmp_path / "baselines"
    outside.mkdir()
    link = root / NAME / below
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    store = Store(root, NAME)

    with pytest.raises(UserError, match="leads out of"):
        store.put({CASE: timed_baseline([[0.5]])}, MACHINE, SOFTWARE)
    if below == ".":
        with pytest.raises(UserError, match="leads out of"):
            store.check_writable()
    assert list(outside.iterdir()) == []


# -- secrets ----------------------------------------------------------------------------------------------------------

SECRETS = (
    *("API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "BASIC_AUTH", "DATABASE_DSN", "DB_PASS", "DB_PASSWORD"),
    *("GITHUB_PAT", "GITHUB_TOKEN", "HF_TOKEN", "NPM_PASSWD", "PGPASSWORD", "SESSION_COOKIE", "SIGNING_KEY"),
)


@pytest.mark.untimed
def test_no_value_of_the_environment_and_no_password_of_an_address_is_written(suite, monkeypatch):
    for name in (*SECRETS, "ANYTHING_ELSE"):
        monkeypatch.setenv(name, f"{CANARY}-{name}")
    monkeypatch.setenv("PERFGATE_COMMAND", "the-command")
    temporary = suite.path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    suite.write("def test_it(perf):\n    perf(work())\n\n\ndef test_fails(perf):\n    perf(work('Missing'))\n")
    address = f"https://somebody:{CANARY}@example.org/simple"
    reports = [f"--perf-report={kind}=report.{kind}" for kind in ("json", "markdown", "csv", "html")]
    done = suite.run(
        "--perf-update=new", "--junitxml=junit.xml", *reports, "-o", "perf_html=auto",
        "-o", f"perf_ref_install=--index-url {address} .", "-o", f"perf_history={address}",
    )  # fmt: skip
    done.assert_outcomes(passed=1, failed=1)
    report = [sys.executable, "-m", "perfgate", "report", str(suite.run_files[0]), "--format", "json"]
    told = subprocess.run(report, capture_output=True, text=True, check=True).stdout
    files = [path for path in suite.path.rglob("*") if path.is_file()]
    names = {path.suffix for path in files}
    held = {str(path): path.read_bytes() for path in files}
    held |= {"terminal": f"{done.stdout}{done.stderr}".encode(), "report": told.encode()}

    assert {".jsonl", ".html", ".json", ".markdown", ".csv", ".xml"} <= names
    assert [name for name, data in held.items() if CANARY.encode() in data] == []
    assert b"the-command" in held[str(suite.run_files[0])], "what is written on purpose is found in this way"
    assert "https://***@example.org/simple" in suite.run_files[0].read_text()


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_no_part_of_a_digest(monkeypatch, name):
    def digest() -> str:
        return surroundings({}, {})["variables"]

    monkeypatch.delenv(name, raising=False)
    before = digest()
    monkeypatch.setenv(name, CANARY)
    assert digest() == before
    monkeypatch.setenv("OMP_PROC_BIND", CANARY)
    assert digest() != before


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pip install --index-url https://a:b@host/simple x", "pip install --index-url https://***@host/simple x"),
        ("git+ssh://git@host/x@v1 and s3://key:p@ss@bucket/y", "git+ssh://***@host/x@v1 and s3://***@bucket/y"),
        ("https://host/a@b org/name@commit", "https://host/a@b org/name@commit"),
    ],
)
def test_an_address_is_shown_without_user_and_password(text, shown):
    assert concealed(text) == shown
    assert str(UserError(text, text)) == UserError(text, text).details == shown
    assert all_concealed({"a": [text, 1], "b": {"c": (text,)}}) == {"a": [shown, 1], "b": {"c": [shown]}}


def test_the_token_of_a_forge_is_in_no_message(tmp_path):
    pytest.importorskip("httpx")
    client = Client("http://127.0.0.1:9", {"Authorization": f"Bearer {CANARY}"})
    with pytest.raises(UserError, match="GET user: ") as asked:
        client.ask("GET", "user")
    with pytest.raises(UserError, match="GET artifact: ") as saved:
        client.save("artifact", tmp_path / "artifact")
    assert CANARY not in f"{asked.value} {saved.value}"


def test_what_pip_is_given_and_says_is_told_without_passwords(tmp_path):
    said: list[str] = []
    address = f"https://somebody:{CANARY}@127.0.0.1:9/simple"
    with pytest.raises(UserError) as error:
        run([sys.executable, "-c", f"print({address!r}); raise SystemExit(1)"], tmp_path, "--perf-ref", said.append)
    assert CANARY not in str(error.value) + "".join(said)
    assert "https://***@127.0.0.1:9/simple" in said[0]
