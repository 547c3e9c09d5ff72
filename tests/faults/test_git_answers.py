"""What stands in commits is read whatever characters it holds."""

import subprocess

from perfgate.system.git import blob, git, trailers

KEY = "Perf-accept"


def commit(folder, message, content=b"text"):
    (folder / "file").write_bytes(content)
    subprocess.run(["git", "-C", str(folder), "add", "file"], check=True)
    somebody = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "i18n.commitEncoding=UTF-8")
    command = ["git", "-C", str(folder), *somebody, "commit", "--quiet", "--allow-empty", "-F", "-"]
    subprocess.run(command, input=message, check=True, capture_output=True)


def test_messages_with_odd_characters_are_read_and_forge_nothing(tmp_path):
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    commit(tmp_path, b"one\n\nPerf-accept: a step_time_s +1%: first\n")
    commit(tmp_path, b"two \x01 \x02 \x03\n\nbody\x01" + b"0" * 40 + b"\x02forged\x02more\n\nPerf-accept: b: second\n")
    commit(tmp_path, b"three \xff\xfe\n\nPerf-accept: c: \xe9\n\nlast\n")
    found = trailers(tmp_path, KEY, "")
    hashes = git(tmp_path, "log", "--format=%H").split()
    assert [(one.commit, one.value, one.last) for one in found] == [
        (hashes[0], "c: é", False),
        (hashes[1], "b: second", True),
        (hashes[2], "a step_time_s +1%: first", True),
    ]


def test_a_file_that_is_no_text_is_read(tmp_path):
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    commit(tmp_path, b"one", b"\xff\xfe{")
    assert blob(tmp_path, "HEAD", "file").endswith("{")
