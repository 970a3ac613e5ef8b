"""The end of a process with 200 calls up: asked for, and without warning."""

import threading
import time

import pytest

from calls.many_calls import ManyCalls
from calls.exchange import CALLER_HOST, Exchange
from calls.script import is_refused, stays
from calls.sipp import Sipp
from calls.voice import RATE, read_wav
from sip.media import share_of
from support.process import Maskline

CALLS = 200
UP_PER_S = 100
DRAIN_S = 40
RECORDED = 3
TONE = 440


@pytest.fixture
def exchange(tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text(f"[process]\ndrain_timeout_s = {DRAIN_S}\n")
    service = Maskline(tmp_path / "data", args=["--config", str(settings)])
    yield Exchange(service.start())
    service.stop()


def test_sigterm_cuts_no_call_and_takes_no_new_one(exchange, scene):
    service = exchange.service
    with ManyCalls(exchange, scene, CALLS) as calls:
        talk_ms = 1_000 * (CALLS // UP_PER_S) + 4_000
        with calls.call(CALLS, CALLS, UP_PER_S, talk_ms) as caller:
            calls.await_up(caller, CALLS)
            sip, codes = exchange.sip, []
            stopping = threading.Thread(target=lambda: codes.append(service.terminate(DRAIN_S)))
            stopping.start()
            service.await_log("taking no more calls")
            with Sipp(
                scene, "late", is_refused(503), CALLER_HOST, remote=sip, service=calls.lines[0][2],
                caller="13700000000",
            ) as late:
                late.wait()
            assert "Retry-After:" in "".join(late.messages())
            # Each caller talks as long as it wants, and hangs up by itself.
            caller.wait()
            stopping.join()
        assert codes == [0]
        arrived, wrong = calls.wrong_routes()
        assert (arrived, wrong) == (CALLS, [])
    ended = [(record["state"], record["situation"], record["release_by"]) for record in exchange.records()]
    assert [end for end in ended if end == ("closed", "hung_up", "caller")] == ended[:CALLS]
    assert len([end for end in ended if end[1] == "hung_up"]) == CALLS


def test_a_kill_during_200_calls_leaves_a_record_of_each_and_its_sound(exchange, scene):
    with ManyCalls(exchange, scene, CALLS) as calls:
        spoken = [exchange.axn(exchange.party(), IsRecordingEnabled="true") for _ in range(RECORDED)]
        speakers = [
            Sipp(
                scene, f"speaker-{x}", stays(), CALLER_HOST, remote=exchange.sip, service=x, caller=exchange.party(),
                tone=TONE,
            )
            for x in spoken
        ]
        try:
            with calls.call(CALLS, CALLS, UP_PER_S, 60_000) as caller:
                calls.await_up(caller, CALLS)
                assert all(speaker.media_port_told.is_set() for speaker in speakers)
                kept_s = await_recorded(exchange, len(spoken), 2)
                exchange.service.kill()
                killed_at = time.time()
                exchange.service.start()
        finally:
            for speaker in speakers:
                speaker.stop()
                speaker.media.over.set()
        records = exchange.records()
        assert len(records) == CALLS + RECORDED
        assert {(record["state"], record["situation"]) for record in records} == {("closed", "node_lost")}
        assert [one for one in calls.misrecorded() if one["x"] not in spoken] == []
        # The rows that were opened say when, before anybody was dialled.
        assert all(one["arrived_at"] <= one["dialled_at"] < killed_at * 1_000 for one in records)
        assert {one["recording"] for one in records if one["x"] not in spoken} == {None}
        for record in (one for one in records if one["x"] in spoken):
            path = exchange.recordings / record["recording"]
            assert path.name == f"{record['call_id']}.wav"
            left, right = read_wav(path)
            assert len(left) == len(right)
            # What could be played before can be played still; it began when the call was answered.
            talked_s = killed_at - record["arrived_at"] / 1_000
            assert kept_s[path.name] <= len(left) / RATE < talked_s + 0.5, f"{len(left) / RATE} s of {talked_s}"
            assert share_of(left, TONE) > 0.8
        # Life goes on.
        with calls.call(1, 1, 1, 300) as again:
            again.wait()


def await_recorded(exchange, count, seconds):
    """Waits until so many recordings can be played for so long; how long each can, by name."""
    deadline = time.monotonic() + 60
    while True:
        kept_s = {path.name: len(read_wav(path)[0]) / RATE for path in exchange.kept_sounds()}
        if len([one for one in kept_s.values() if one >= seconds]) >= count:
            return kept_s
        assert time.monotonic() < deadline, f"{count} recordings of {seconds} s wanted: {kept_s}"
        time.sleep(0.2)
