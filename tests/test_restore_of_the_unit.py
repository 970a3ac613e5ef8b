"""A restore as root into the directory of the packaged unit, whose user systemd chooses at each start (DynamicUser).

systemd then keeps `/var/lib/maskline` as a symbolic link into `/var/lib/private`, which root alone may enter; the
service has a view of the files in which it may, too. No systemd is at hand where the tests run: the link, the owner
and the modes are made here, and the service is let in before it starts.
"""

import json
import os
import shutil
import subprocess

import pytest

from support.gateway import bound
from support.operator import Operator
from support.process import Maskline
from support.supervisor import Supervisor, unit

ANY = "127.0.0.1:0"
# A user of those that systemd takes (61184 to 65519), whom nobody knows by name.
USER, GROUP = 61_300, 61_301

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="users and groups can only be given by root")


def state_directory(var_lib):
    """What systemd makes of `DynamicUser=yes` and `StateDirectory=maskline`: the link, and the directory meant."""
    said = {key: values[-1] for (section, key), values in unit().items() if section == "Service"}
    assert said["DynamicUser"] == "yes" and said["StateDirectory"] == "maskline"
    private = var_lib / "private"
    private.mkdir(mode=0o700, parents=True)
    (private / "maskline").mkdir()
    (private / "maskline").chmod(int(said["StateDirectoryMode"], 8))
    os.chown(private / "maskline", USER, GROUP)
    (var_lib / "maskline").symlink_to("private/maskline")
    return var_lib / "maskline"


def owners(state):
    return {(path.lstat().st_uid, path.lstat().st_gid) for path in state.resolve().rglob("*")}


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "emptied"])
def test_what_root_restores_is_served_by_the_user_of_the_unit(maskline, open_path, is_there):
    world = Operator(maskline).world(numbers={"北京": 5})
    kept, x = bound(world.gateway().bind_axn())
    recordings = maskline.data / "recordings" / "2026-11-24"
    recordings.mkdir(parents=True)
    (recordings / "one.wav").write_bytes(b"RIFF")
    copy, key = open_path / "copy", open_path / "master.key"
    maskline.cli("backup", copy)
    shutil.copy(maskline.data.with_name("data.key"), key)
    state = state_directory(open_path / "var" / "lib")
    restored = Maskline(state / "data", demo=False)
    if is_there:
        restored.data.mkdir(mode=0o700)
        os.chown(restored.data, USER, GROUP)

    # The key comes first, as the page on restoring says (docs/backup.md).
    key_first = f"cp {key} {state}/data.key && chmod 600 {state}/data.key"
    subprocess.run(["sh", "-ec", key_first], check=True)
    told = restored.cli("restore", copy).stdout

    assert str(USER) in told, told
    assert state.is_symlink() and os.readlink(state) == "private/maskline", "the link is left as it was"
    assert owners(state.resolve() / "data") == {(USER, GROUP)}
    # The rest of the page.
    for command in (
        f"cp -a {maskline.data}/recordings {state}/data/",
        f"chown -R --reference={state}/ {state}/",
    ):
        subprocess.run(["sh", "-ec", command], check=True)
    assert owners(state) == {(USER, GROUP)}

    (state.parent / "private").chmod(0o711)
    identity = {"user": USER, "group": GROUP, "extra_groups": []}
    with Supervisor("--data", restored.data, "--api", ANY, "--admin", ANY, "--sip", ANY, identity=identity) as service:
        service.await_event("told", "READY=1")
        with open(f"/proc/{service.process.pid}/status") as status:
            assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n" in status.read()
        bindings = json.loads(restored.cli("binding", "ls", "--x", x, "--json").stdout)["items"]
        assert [str(binding["subs_id"]) for binding in bindings] == [kept]
        # It writes, too.
        restored.cli("account", "set", "another")
        assert "another" in restored.cli("account", "ls").stdout
    assert owners(state) == {(USER, GROUP)}
    assert restored.cli("check").returncode == 0
