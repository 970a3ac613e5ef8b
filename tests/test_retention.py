"""How long records are kept, seen from outside: a directory of before, holds, times that are refused, a kill."""

import json
import sqlite3
import time
from datetime import datetime, timedelta, timezone

import pytest

from support.gateway import bound, china_time
from support.process import Maskline, NotReady

DAY_MS = 86_400_000
ROWS = 20_000


def shown(service, *args):
    return json.loads(service.cli(*args, "--json").stdout)


def due(service):
    return sum(line["due"] for line in shown(service, "retention", "show")["items"])


def awaited(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def plant(service, rows, on=True):
    """Closed calls that are a year old, in a directory that nobody serves; and whether the retention is on in it."""
    old = int(time.time() * 1000) - 366 * DAY_MS
    with sqlite3.connect(service.data / "maskline.db") as db:
        db.executemany(
            "INSERT INTO call_record (call_id, node, boot, state, pool, x, arrived_at, released_at, caller_key) "
            "VALUES (?, 'n', 'b', 'closed', 'FC1', '17000000001', ?, ?, ?)",
            ((f"old-{n}", old + n, old + n, b"13900000042" if n == 7 else None) for n in range(rows)),
        )
        if not on:
            db.execute("DELETE FROM meta WHERE name = 'retention_since'")
    db.close()


def calls(service):
    with sqlite3.connect(f"file:{service.data / 'maskline.db'}?mode=ro", uri=True) as db:
        (count,) = db.execute("SELECT COUNT(*) FROM call_record").fetchone()
    db.close()
    return count


def test_a_directory_of_before_deletes_nothing_until_it_is_told_to(maskline):
    maskline.terminate()
    plant(maskline, 100, on=False)
    maskline.start()
    told = shown(maskline, "retention", "show")
    assert told["since"] is None and due(maskline) == 100
    line = next(line for line in told["items"] if line["kind"] == "calls" and not line["pool"])
    assert (line["keep"], line["due"]) == ("200d", 100) and line["oldest"] <= line["newest"]

    refused = maskline.cli("retention", "start", check=False)
    assert refused.returncode == 2 and "--yes" in refused.stderr
    assert "calls" in refused.stdout and "100" in refused.stdout

    held = maskline.cli(
        "hold", "add", "--number", "13900000042", "--until", "2090-01-01 00:00:00", "--reason", "case 13812345678"
    )
    assert held.stdout.startswith("hold 1 lasts")
    started = maskline.cli("retention", "start", "--yes")
    assert "99 row(s) go" in started.stdout
    awaited(lambda: calls(maskline) == 1)
    assert "it was on before" in maskline.cli("retention", "start", "--yes").stdout

    (hold,) = shown(maskline, "hold", "ls")["items"]
    assert hold["by"] == "number" and "13900000042" not in json.dumps(hold)
    assert hold["reason"] == "case 138******78"
    (hold,) = shown(maskline, "hold", "ls", "--reveal")["items"]
    assert hold["value"] == "13900000042" and hold["reason"] == "case 13812345678"

    maskline.restart()
    assert shown(maskline, "retention", "show")["since"] is not None
    maskline.cli("hold", "end", "1")
    awaited(lambda: calls(maskline) == 0)
    assert maskline.cli("hold", "end", "1", check=False).returncode == 1
    audit = maskline.cli("audit").stdout
    for deed in ("retention_started", "hold_added", "hold_ended", "revealed"):
        assert deed in audit
    assert "13900000042" not in audit


def test_what_a_pool_says_holds_for_it_alone(maskline):
    gateway = maskline.gateway()
    pool = gateway.pool_key
    maskline.cli("pool", "set", pool, "--keep-bindings", "none")
    assert shown(maskline, "pool", "show", pool)["retention"] == {"bindings": "none"}
    told = shown(maskline, "retention", "show")["items"]
    assert any(line["kind"] == "bindings" and line["keep"] == "200d" for line in told)

    subs_id, _ = bound(gateway.bind_axn())
    maskline.cli("binding", "unbind", subs_id)
    awaited(lambda: due(maskline) > 0)
    (line,) = (
        line for line in shown(maskline, "retention", "show")["items"] if line["pool"] == pool and line["due"]
    )
    assert (line["kind"], line["keep"], line["due"]) == ("bindings", "none", 1)
    # A round is made when a hold ends.
    maskline.cli("hold", "add", "--call", "c", "--until", "2090-01-01 00:00:00", "--reason", "none")
    maskline.cli("hold", "end", "1")
    awaited(lambda: due(maskline) == 0)
    assert maskline.cli("binding", "show", subs_id, check=False).returncode == 1

    refused = maskline.cli("pool", "set", pool, "--keep-calls", "90", check=False)
    assert refused.returncode == 2 and "bare number" in refused.stderr
    maskline.cli("pool", "set", pool, "--keep-bindings", "")
    assert "retention" not in shown(maskline, "pool", "show", pool)


@pytest.mark.parametrize("value", ["200", '"200"'])
def test_a_bare_number_is_refused(tmp_path, value):
    settings = tmp_path / "maskline.toml"
    settings.write_text(f"[retention]\ncalls = {value}\n")
    with pytest.raises(NotReady) as told:
        Maskline(tmp_path / "data", args=["--config", settings]).start()
    assert "ended with 2" in str(told.value)
    assert 'retention.calls: `200` is a bare number; say its unit, as in "200d"' in str(told.value)


def test_a_kill_in_the_midst_of_a_round_leaves_what_the_next_one_goes_on_with(maskline):
    maskline.terminate()
    plant(maskline, ROWS)
    maskline.start()
    awaited(lambda: calls(maskline) < ROWS)
    maskline.kill()
    left = calls(maskline)
    assert 0 < left < ROWS
    maskline.start()
    awaited(lambda: calls(maskline) == 0)
    maskline.terminate()
    assert maskline.cli("check").returncode == 0


def test_a_moment_before_the_journal_is_explained_by_the_history_as_long_as_that_is_kept(tmp_path):
    env = {"MASKLINE_JOURNAL_RETENTION_DAYS": "0", "MASKLINE_JOURNAL_SNAPSHOT_EVERY_BATCHES": "2"}
    service = Maskline(tmp_path / "data", env=env).start()
    try:
        gateway = service.gateway()
        subs_id, x = bound(gateway.bind_axn(a="13900000077"))
        time.sleep(2)
        at = china_time(datetime.now(timezone.utc) - timedelta(seconds=1))
        service.cli("binding", "unbind", subs_id)

        def explained(*args):
            other, _ = bound(gateway.bind_axn(a="13900000078"))
            service.cli("binding", "unbind", other)
            return shown(service, "explain", "13700000001", x, "--at", at, *args)

        awaited(lambda: "as they were at last" in explained()["question"])
        told = explained("--reveal")
        assert told["route"]["connect"] and told["expect"]["rings"] == "13900000077"

        service.cli("pool", "set", gateway.pool_key, "--keep-bindings", "none")
        refused = service.cli("explain", "13700000001", x, "--at", at, check=False)
        assert refused.returncode == 1 and "bindings are kept for none" in refused.stderr
    finally:
        service.stop()
