"""Runs the steps of a GitHub workflow as its runner would: each ``run`` in a shell, with GitHub's variables."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

# Actions that are skipped: the test has made the checkout and has a Python; artifacts stay where they are.
REPLACED = {"actions/checkout", "actions/setup-python", "actions/upload-artifact"}
# The command for an environment that sees the runner's packages; the test's own environment takes its place.
VENV = "python -m venv --system-site-packages .venv"
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
ALWAYS = "always()"


@dataclass
class Ran:
    """The end of a job.

    Attributes:
        failed: the command of the first step that failed; empty if none did.
        output: the output of all steps.
    """

    failed: str = ""
    output: str = ""
    used: list[str] = field(default_factory=list)


def load(path: Path) -> Any:
    """A workflow; ``on`` is a truth value in YAML 1.1."""
    found = yaml.safe_load(path.read_text())
    return {("on" if key is True else key): value for key, value in found.items()}


def run_job(
    workflow: Path, folder: Path, values: Mapping[str, str], environment: Mapping[str, str], name: str = ""
) -> Ran:
    """Run a job of a workflow in a checkout.

    Args:
        workflow: the file.
        folder: the checkout.
        values: the values of the expressions that it uses; any other is refused.
        environment: the variables that GitHub sets.
        name: the name of the job, if there are several.
    """
    jobs = load(workflow)["jobs"]
    if not name:
        (name,) = jobs
    job = jobs[name]
    ran = Ran()
    told = os.environ | dict(environment) | evaluated(job.get("env", {}), values)
    for step in job["steps"]:
        if ran.failed and step.get("if") != ALWAYS:
            continue
        assert step.get("if") in (None, ALWAYS)
        if "uses" in step:
            name = step["uses"].partition("@")[0]
            assert name in REPLACED, f"no test knows how to replace {name}"
            ran.used.append(name)
            continue
        command = step["run"]
        assert "\n" not in command.strip()
        assert "${{" not in command
        if command == VENV:
            (folder / ".venv").symlink_to(sys.prefix)
            continue
        done = shell(command, folder, told | evaluated(step.get("env", {}), values))
        ran.output += done.stdout
        ran.failed = ran.failed or (command if done.returncode else "")
    return ran


def shell(script: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a script as CI systems do: it ends at the first command that fails, and all output is one."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], cwd=folder, env=dict(environment),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300,
    )  # fmt: skip


def evaluated(variables: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
    """Variables with their expressions replaced."""
    return {name: EXPRESSION.sub(lambda found: values[found[1]], str(text)) for name, text in variables.items()}
