"""Operators of the running service: what each role may, tokens that are taken back, the first token."""

import json
import re

import pytest

from support.gateway import bound
from support.operator import Operator
from support.process import Maskline

TOKEN = re.compile(r"mlop_[A-Za-z0-9_-]{43}")

VIEWED = [
    ("status",),
    ("audit",),
    ("account", "ls"),
    ("key", "ls"),
    ("user", "ls"),
    ("pool", "ls"),
    ("number", "ls"),
    ("binding", "ls"),
    ("carrier", "ls"),
    ("trunk", "ls"),
    ("call", "ls"),
    ("operator", "ls"),
]
OPERATED = [
    ("pool", "set", "FC1", "--cooling-s", "9"),
    ("number", "lock", "17000000001"),
    ("binding", "unbind", "12"),
    ("trunk", "delete", "none"),
    ("carrier", "delete", "none"),
    ("clock", "trust"),
    ("binding", "ls", "--reveal"),
    ("journal", "show", "--reveal"),
    ("drain",),
]
ADMINISTERED = [
    ("account", "set", "acme"),
    ("user", "delete", "acme/nobody"),
    ("key", "create", "--account", "acme"),
    ("key", "reseal"),
    ("operator", "add", "mallory", "--role", "administrator"),
    ("operator", "rotate", "nobody"),
    ("operator", "disable", "nobody"),
    ("operator", "rm", "nobody"),
    ("erase", "13900000000", "--yes"),
]
ROLES = ["viewer", "operator", "administrator"]


def add(service, name, role):
    """A new operator's token."""
    told = service.cli("operator", "add", name, "--role", role).stdout.strip()
    assert TOKEN.fullmatch(told), "nothing else is on standard output"
    return told


def audit(service):
    """The lines of the audit, the newest first, with all that was answered before."""
    # The history of a binding that is not there waits for the audit, too.
    service.cli("binding", "show", "1", check=False)
    return json.loads(service.cli("audit", "--limit", "1000", "--json").stdout)["items"]


def by(service, token, *words):
    return service.cli(*words, check=False, env={"MASKLINE_TOKEN": token})


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_its_own_and_is_told_which_other_is_needed(maskline, role):
    token = add(maskline, f"some-{role}", role)

    wrong = []
    for needed, commands in zip(ROLES, (VIEWED, OPERATED, ADMINISTERED)):
        for words in commands:
            if words == ("drain",) and role != "viewer":
                continue
            done = by(maskline, token, *words)
            told = re.search(r"this needs the role (\w+)", done.stderr)
            # A document is for operators, before it is looked at what it says.
            names = {needed, "operator"} if words[0] in ("account", "user") else {needed}
            expected = ROLES.index(role) < ROLES.index(needed)
            is_right = told is not None and told[1] in names and done.returncode == 1
            if done.returncode == 2 or (is_right if expected else told is None) is False:
                wrong.append((words, done.stderr))
    assert not wrong


def test_a_revoked_token_is_refused_at_once_and_no_token_is_in_a_log_or_file(tmp_path):
    service = Maskline(tmp_path / "data", env={"MASKLINE_LOG_LEVEL": "trace"}).start()
    try:
        tokens = [add(service, "alice", "operator")]
        assert by(service, tokens[0], "status").returncode == 0
        tokens.append(service.cli("operator", "rotate", "alice").stdout.strip())
        assert "refuses the token" in by(service, tokens[0], "status").stderr
        assert by(service, tokens[1], "status").returncode == 0
        service.cli("operator", "disable", "alice")
        assert by(service, tokens[1], "status").returncode == 1
        service.cli("operator", "enable", "alice")
        assert by(service, tokens[1], "status").returncode == 0
        service.cli("operator", "rm", "alice")
        assert by(service, tokens[1], "status").returncode == 1

        said = json.dumps(audit(service))
        assert "operator_set" in said and "operator_removed" in said and "token_refused" in said
        said += service.cli("journal", "show", "--limit", "1000").stdout
        files = [path for path in service.data.rglob("*") if path.is_file()]
        kept = [path.read_bytes() for path in [*files, service.log_path]]
        for token in tokens:
            assert token not in said
            assert not any(token.encode() in content for content in kept)
    finally:
        service.stop()


def test_a_token_comes_from_its_file_first_and_the_audit_has_its_name(maskline, tmp_path):
    file = tmp_path / "token"
    file.write_text(add(maskline, "alice", "administrator") + "\n")
    guessed = {"MASKLINE_TOKEN": "guessed", "USER": "somebody", "SUDO_USER": "", "LOGNAME": ""}

    maskline.cli("account", "set", "acme", "--token-file", file, env=guessed)

    newest = audit(maskline)[0]
    assert (newest["deed"], newest["actor"], newest["remark"]) == ("account_set", "operator:alice", "somebody")
    assert maskline.cli("status", check=False, env=guessed).returncode == 1


def test_the_first_token_is_retired_and_brought_back_with_the_service_stopped(tmp_path):
    service = Maskline(tmp_path / "data").start()
    try:
        refused = service.cli("operator", "retire-first", check=False)
        assert refused.returncode == 1 and "no administrator is enabled" in refused.stderr
        alice = add(service, "alice", "administrator")
        old = (service.data / "admin.token").read_text().strip()
        service.cli("operator", "retire-first")

        done = service.cli("status", check=False)
        assert done.returncode == 1 and "--token-file" in done.stderr
        assert by(service, alice, "status").returncode == 0
        for words in (("disable", "alice"), ("rm", "alice")):
            assert "nobody could add operators" in by(service, alice, "operator", *words).stderr
        running = service.cli("operator", "restore-first", check=False)
        assert running.returncode == 1, "the service runs"

        assert service.terminate() == 0
        service.start()
        assert by(service, old, "status").returncode == 1, "a start alone brings nothing back"
        assert service.terminate() == 0
        service.cli("operator", "restore-first")
        service.start()

        assert service.cli("status").returncode == 0
        assert by(service, old, "status").returncode == 1, "what was retired stays worthless"
        [restored] = [line for line in audit(service) if line["deed"] == "first_token_restored"]
        assert restored["actor"] == "job:restore-first"
        # Once is enough.
        service.cli("operator", "retire-first")
        assert service.terminate() == 0
        service.start()
        assert service.cli("status", check=False).returncode == 1
        assert by(service, alice, "status").returncode == 0
    finally:
        service.stop()


def test_what_a_viewer_sees_is_masked(maskline):
    world = Operator(maskline).world(numbers={"北京": 1})
    subs_id, x = bound(world.gateway().bind_axn("13987650001"))
    viewer = add(maskline, "eve", "viewer")

    for words in (("binding", "ls"), ("binding", "show", subs_id), ("number", "show", x), ("call", "ls")):
        shown = by(maskline, viewer, *words)
        assert shown.returncode == 0 and "13987650001" not in shown.stdout
        whole = by(maskline, viewer, *words, "--reveal")
        assert whole.returncode == 1 and "role operator" in whole.stderr and "13987650001" not in whole.stdout
