"""What an operator does beside the service: apply a file, look, back up, restore, check."""

import http.client
import json
import os
import re
import sqlite3

import pytest

from support.gateway import bound
from support.operator import Operator
from support.process import Maskline

DOCUMENT = """
[[account]]
id = "acme"
real_name_verified = true

[[pool]]
key = "FC900"
account = "acme"
product = "axn"

[[numbers]]
pool = "FC900"
city = "杭州"
first = "17300000000"
count = 30
"""


# apply


def test_document_is_applied_once_however_often_it_is_sent(maskline):
    operator = Operator(maskline)
    dry = operator.apply(DOCUMENT, "--dry-run").stdout
    before = maskline.cli("pool", "show", "FC900", check=False)
    first = operator.apply(DOCUMENT).stdout
    journal = maskline.cli("status", "--json").stdout
    second = operator.apply(DOCUMENT).stdout

    assert "FC900" in dry and "acme" in dry
    assert before.returncode == 1, "a dry run makes nothing"
    assert "FC900" in first
    assert "FC900" not in second
    assert json.loads(maskline.cli("status", "--json").stdout)["batch"] == json.loads(journal)["batch"]
    assert json.loads(maskline.cli("pool", "show", "FC900", "--json").stdout)["numbers"] == 30


def test_difference_is_shown_before_it_is_made(maskline):
    operator = Operator(maskline)
    operator.apply(DOCUMENT)
    changed = DOCUMENT.replace('product = "axn"', 'product = "axn"\ncity_match = "strict"')

    told = operator.apply(changed, "--dry-run").stdout

    assert "strict" in told and "FC900" in told
    assert "acme" not in told, "what stays is not told"
    pool = json.loads(maskline.cli("pool", "show", "FC900", "--json").stdout)
    assert pool["city_match"] == "loose"


@pytest.mark.parametrize(
    "text, told",
    [
        ('[[account]]\nid = "acme"\nstatus = "rich"\n', ":3:"),
        ('[[account]]\nid = "acme"\nmoney = 1\n', ":3:"),
        ("[[account]]\nid = \n", ":2:"),
    ],
)
def test_mistake_in_a_document_is_told_with_its_line_and_changes_nothing(maskline, tmp_path, text, told):
    file = tmp_path / "wrong.toml"
    file.write_text(text)

    done = maskline.cli("apply", file, check=False)

    assert done.returncode == 2 and f"wrong.toml{told}" in done.stderr, done.stderr
    assert maskline.cli("account", "show", "acme", check=False).returncode == 1


def test_commands_need_the_token(maskline):
    done = maskline.cli("status", check=False, env={"MASKLINE_TOKEN": "guessed"})

    assert done.returncode == 1 and "token" in done.stderr


def test_settings_are_refused_with_line_and_reason(tmp_path):
    settings = tmp_path / "maskline.toml"
    settings.write_text("[api]\nlisten = \"127.0.0.1:0\"\nconnections_max = 0\n")
    service = Maskline(tmp_path / "data", args=["--config", str(settings)])

    with pytest.raises(Exception, match=r"maskline\.toml:3.*connections_max"):
        service.start()


# backup, restore, check


def test_backup_of_a_running_service_comes_back_elsewhere(maskline, tmp_path):
    world = Operator(maskline).world(numbers={"北京": 5})
    kept = bound(world.gateway().bind_axn(OutId="kept"))
    copy = tmp_path / "copy"
    maskline.cli("backup", copy)
    later = bound(world.gateway().bind_axn(OutId="later"))

    other = Maskline(
        tmp_path / "other", demo=False, env={"MASKLINE_MASTER_KEY_FILE": key_file(maskline)}
    )
    other.cli("restore", copy)
    other.start()
    try:
        api = world.moved_to(other).gateway()
        assert api.detail(*kept).data["SecretBindDetailDTO"]["Status"] == 1
        assert api.detail(*later).code == "isv.SUBS_NOT_EXIST"
        again, _ = bound(api.bind_axn())
        assert int(again) > int(later[0]), "no id is given twice, not even across a restore"
    finally:
        other.stop()
    assert other.cli("check").returncode == 0


@pytest.mark.parametrize(
    "listed",
    ["no such file", "not a line of JSON\n", '{"at": 1, "bindings": ["x"]}\n'],
)
def test_restore_that_fails_leaves_nothing_that_could_be_served(maskline, tmp_path, listed):
    Operator(maskline).world(numbers={"北京": 1})
    copy, erasures = tmp_path / "copy", tmp_path / "erasures.jsonl"
    maskline.cli("backup", copy)
    if listed != "no such file":
        erasures.write_text(listed)
    other = Maskline(tmp_path / "other", demo=False, env={"MASKLINE_MASTER_KEY_FILE": key_file(maskline)})

    done = other.cli("restore", copy, "--erasures", erasures, check=False)

    assert done.returncode == 1 and "erasures.jsonl" in done.stderr, done.stderr
    assert not other.data.exists()


def test_restore_that_fails_later_leaves_an_empty_directory_as_it_was(maskline, tmp_path):
    copy = tmp_path / "copy"
    maskline.cli("backup", copy)
    [file] = copy.glob("*.db")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    other = Maskline(tmp_path / "other", demo=False, env={"MASKLINE_MASTER_KEY_FILE": key_file(maskline)})
    other.data.mkdir()

    done = other.cli("restore", copy, check=False)

    assert done.returncode == 1 and "another hash" in done.stderr
    assert list(other.data.iterdir()) == []


def test_restore_that_was_killed_is_not_served_and_can_be_done_again(maskline, tmp_path):
    copy = tmp_path / "copy"
    maskline.cli("backup", copy)
    other = Maskline(tmp_path / "other", demo=False, env={"MASKLINE_MASTER_KEY_FILE": key_file(maskline)})
    # As a kill in the middle leaves it.
    other.data.mkdir(mode=0o700)
    (other.data / "restoring").mkdir()
    (other.data / "restoring" / "maskline.db").write_bytes(b"half")

    with pytest.raises(Exception, match="a restore into .* has not come to its end"):
        other.start()
    other.cli("restore", copy)
    assert not (other.data / "restoring").exists()
    other.start()
    other.stop()
    assert other.cli("check").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("is_there", [False, True])
def test_restore_by_root_leaves_files_to_the_owner_above(maskline, tmp_path, is_there):
    copy = tmp_path / "copy"
    maskline.cli("backup", copy)
    state = tmp_path / "state"
    state.mkdir()
    other = Maskline(state / "data", demo=False, env={"MASKLINE_MASTER_KEY_FILE": key_file(maskline)})
    if is_there:
        other.data.mkdir()
    os.chown(state, 61_184, 61_185)

    told = other.cli("restore", copy).stdout

    assert "61184" in told
    found = [other.data, *other.data.rglob("*")]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in found} == {(61_184, 61_185)}, found


def test_backup_tells_what_else_is_needed(maskline, tmp_path):
    settings = tmp_path / "m.toml"
    files = {
        "api": {"certificate": "/etc/c.pem", "private_key": "/etc/k.pem"},
        "sip": {
            "certificate": "/etc/sip-c.pem",
            "private_key": "/etc/sip-k.pem",
            "client_authorities": "/etc/sip-clients.pem",
            "server_authorities": "/etc/sip-servers.pem",
        },
        "prompts": {"directory": "/p"},
    }
    for section, said in files.items():
        lines = "".join(f'{name} = "{path}"\n' for name, path in said.items())
        with settings.open("a") as file:
            file.write(f"[{section}]\n{lines}")

    told = maskline.cli("backup", tmp_path / "copy", "--config", settings).stdout

    named = [path for said in files.values() for path in said.values()]
    for kept in [str(settings), *named, "erasures.jsonl", "recordings", "data.key"]:
        assert re.search(rf"(?m)\s{re.escape(kept)}$|/{re.escape(kept)}$", told), f"{kept}: {told}"


def key_file(service):
    return str(service.data.with_name(service.data.name + ".key"))


def test_check_finds_a_changed_byte(maskline, tmp_path):
    world = Operator(maskline).world(numbers={"北京": 5})
    for _ in range(3):
        bound(world.gateway().bind_axn())
    assert maskline.terminate() == 0
    assert maskline.cli("check").returncode == 0

    [file] = [f for f in maskline.data.iterdir() if f.suffix in (".db", ".sqlite", ".sqlite3")]
    with sqlite3.connect(file) as store:
        seq, payload = store.execute(
            "SELECT seq, payload FROM journal ORDER BY seq DESC LIMIT 1 OFFSET 1"
        ).fetchone()
        bent = bytes([payload[-1] ^ 1])
        store.execute("UPDATE journal SET payload = ? WHERE seq = ?", (payload[:-1] + bent, seq))

    found = maskline.cli("check", check=False)

    assert found.returncode == 1
    assert str(seq) in found.stdout + found.stderr


def test_journal_can_be_read_as_text(maskline):
    world = Operator(maskline).world(numbers={"北京": 1})
    subs_id, _ = bound(world.gateway().bind_axn("13912345678"))

    text = maskline.cli("journal", "show", "--limit", "3").stdout

    assert subs_id in text and "operator" in text
    assert "13912345678" not in text


def test_long_lists_go_on_by_themselves_and_say_where(maskline):
    maskline.cli("number", "add", "--first", "16890000000", "--count", 2_300, "--city", "那曲")
    world = Operator(maskline).world(numbers={"北京": 3})
    made = [bound(world.gateway().bind_axn(f"1391234567{n}"))[0] for n in range(3)]

    def told(*words):
        return json.loads(maskline.cli(*words, "--json").stdout)

    numbers = ("number", "ls", "--city", "那曲", "--limit")
    whole = [f"1689{n:07}" for n in range(2_300)]
    listed = told(*numbers, 5_000)
    assert [number["x"] for number in listed["items"]] == whole
    assert (listed["more"], listed["next"]) == (False, None)
    first = told(*numbers, 2_100)
    rest = told(*numbers, 5_000, "--after", first["next"])
    assert [number["x"] for number in first["items"] + rest["items"]] == whole
    assert (first["more"], rest["more"]) == (True, False)
    said = maskline.cli(*numbers, 3).stderr
    assert f"--after {whole[2]}" in said

    assert isinstance(told("pool", "ls"), list) and isinstance(told("trunk", "ls"), list)
    for words in (("binding", "ls", "--pool", world.pool), ("audit",)):
        whole = told(*words, "--limit", 10_000)["items"]
        walked, place = [], ()
        while True:
            page = told(*words, "--limit", 2, *place)
            walked += page["items"]
            if not page["more"]:
                break
            place = ("--after", page["next"])
            if len(walked) > 12:
                walked += told(*words, "--limit", 10_000, *place)["items"]
                break
        # The service may have done something by itself meanwhile.
        assert walked[-len(whole) :] == whole
    listed = told("binding", "ls", "--party", "13912345671")
    assert [binding["subs_id"] for binding in listed["items"]] == [made[1]]
    assert told("call", "ls", "--party", "13912345671", "--caller", "13912345672")["items"] == []


# What must not be seen


def test_no_whole_number_and_no_secret_in_log_metrics_or_lists(tmp_path):
    """Everything that this service says of itself while canaries pass through, at its most talkative."""
    service = Maskline(tmp_path / "data", env={"MASKLINE_LOG_LEVEL": "trace"}).start()
    try:
        world = Operator(service).world(numbers={"北京": 4})
        a, b, c = "13987650001", "15887650002", "13687650003"
        api = world.gateway()
        subs_id, x = bound(api.bind_axn(a, PhoneNoB=b, OutId="canary-out-id"))
        api.bind_axn(c, PhoneNoX=x)
        api.bind_axn(a, PhoneNoB=a)
        api.bind_axn(f"+86{c}")
        api.with_key(api.key_id, "wrong").bind_axn(c)
        api.unbind(subs_id, x)
        said = {
            "explain": service.cli("explain", c, x).stdout,
            "explain bind": service.cli("explain", "bind", "--pool", world.pool, "--a", c, "--b", a).stdout,
            "binding ls": service.cli("binding", "ls").stdout,
            "binding show": service.cli("binding", "show", subs_id).stdout,
            "journal": service.cli("journal", "show", "--limit", "100").stdout,
            "metrics": get(service.ready["admin"], "/metrics"),
            "log": service.log_path.read_text(),
        }
        secrets = ["canary-out-id", world.first_key.secret, service.credentials()["access_key_secret"]]
        secrets.append(service.credentials()["admin_token"])
        for where, text in said.items():
            assert text, where
            for canary in [a, b, c, *secrets]:
                assert canary not in text, f"{where} shows {canary}"
    finally:
        service.stop()


def test_health_readiness_and_metrics(maskline):
    bound(maskline.gateway().bind_axn())
    admin = maskline.ready["admin"]

    assert get(admin, "/healthz")
    assert get(admin, "/readyz")
    metrics = get(admin, "/metrics")
    assert 'action="BindAxn"' in metrics


def get(address, path):
    link = http.client.HTTPConnection(address, timeout=10)
    link.request("GET", path)
    answer = link.getresponse()
    text = answer.read().decode()
    assert answer.status == 200, f"{path}: {answer.status} {text}"
    return text


def test_explain_tells_of_a_bind_what_it_would_come_to(maskline):
    world = Operator(maskline).world(numbers={"北京": 1})

    def told(*flags):
        asked = ("explain", "bind", "--pool", world.pool, *flags, "--json")
        return json.loads(maskline.cli(*asked).stdout)["bind"]

    [x] = world.numbers["北京"]
    foretold = told("--a", "13900001111")
    assert (foretold["bound"], foretold["x"], foretold["city"]) == (True, x, "北京")
    _, got = bound(world.gateway().bind_axn("13900001111"))
    assert got == x
    for flags in (("--a", "13700000000"), ("--a", "13700000000", "--x", x), ("--a", "13900001111", "--x", x)):
        foretold = told(*flags)
        params = {"PhoneNoX": x} if "--x" in flags else {}
        refused = world.gateway().bind_axn(flags[1], **params)
        assert (foretold["bound"], foretold["code"]) == (False, refused.code), foretold
    text = maskline.cli("explain", "bind", "--pool", world.pool, "--a", "13700000000").stdout
    assert "137******00 is to be bound in pool" in text
    assert "Refused: no X number is available. The customer gets isv.NO_AVAILABLE_NUMBER." in text
    whole = maskline.cli("explain", "bind", "--pool", world.pool, "--a", "13700000000", "--reveal").stdout
    assert "13700000000 is to be bound" in whole
    # A call is explained as ever, and needs both numbers.
    assert "13900001111" not in maskline.cli("explain", "13700000000", x).stdout
    assert maskline.cli("explain", "13700000000", check=False).returncode == 2
