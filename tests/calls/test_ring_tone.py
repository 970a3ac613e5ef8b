"""A caller hears the ring tone of a binding or of its pool until somebody answers, and nothing of it after."""

import array
import json

import pytest

from calls.exchange import CALLEE_HOST, CALLER_HOST, Exchange
from calls.matrix import TONE, TONE_CODE, put_words
from calls.script import A_LAW, Script
from calls.sipp import Sipp, status_of
from calls.voice import RATE, SAME_MIN, likeness
from sip.media import share_of
from support.process import Maskline

CALLER_TONE, CALLEE_TONE = 440, 1000
# Longer by far than a machine stands still: what a phone hears meanwhile is missing from both.
RINGS_MS, TALK_MS = 3500, 3000
OTHER_CODE = "100000002"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    home = tmp_path_factory.mktemp("tones")
    put_words(home / "words")
    settings = home / "settings.toml"
    settings.write_text(f'[prompts]\ndirectory = "{home}/words"\n')
    service = Maskline(home / "data", args=["--config", str(settings)]).start()
    yield service
    service.stop()


def rings_and_answers():
    return (
        Script("rings and answers").hears("INVITE").says(180).pauses(RINGS_MS).says(200, A_LAW).hears("ACK")
        .hears("BYE").says(200)
    )


def caller(early):
    return (
        Script("hears it ring").dials().hears(100, optional=True).hears(early).hears(200).acks()
        .pauses(TALK_MS).hangs_up().hears(200)
    )


def predicted(exchange, caller, x):
    """The tone that an operator is told that the caller will hear."""
    told = exchange.service.cli("explain", caller, x, "--json").stdout
    return json.loads(told)["expect"]["ring_tone"]


def dial(exchange, scene, config, early, tone):
    """What the caller was told and heard; `tone` is what an operator must have been told of it before."""
    a, n = exchange.party(), exchange.party()
    port = exchange.carrier()
    terms = {"RingConfig": json.dumps(config)} if config else {}
    x = exchange.axn(a, **terms)
    assert predicted(exchange, n, x) == tone
    with (
        Sipp(scene, "callee", rings_and_answers(), CALLEE_HOST, port=port, tone=CALLEE_TONE) as callee,
        Sipp(
            scene, "caller", caller(early), CALLER_HOST, remote=exchange.sip, tone=CALLER_TONE, service=x,
            caller=n,
        ) as phone,
    ):
        callee.await_listening()
        phone.wait()
        callee.wait()
        sound = array.array("h", phone.heard().samples)
        callee.heard()
    assert exchange.record(x)["situation"] == "hung_up"
    return phone.messages(), sound


def check_tone(messages, sound):
    bodies = [one.split("\n\n", 1)[1] for one in messages if status_of(one) in (183, 200) and "m=audio" in one]
    assert len(bodies) == 2 and bodies[0] == bodies[1], "the early answer is the answer"
    turn = answered_at(sound)
    assert turn > RATE, f"after {turn} samples of {len(sound)}"
    assert likeness(sound[:turn], TONE) > SAME_MIN
    # From then on who answers is heard, and the tone is over.
    after = sound[turn:]
    assert len(after) > RATE // 2 and share_of(after, CALLEE_TONE) > 0.8


def answered_at(sound, piece=RATE // 10):
    """Where the callee is heard first, to a tenth of a second."""
    places = range(0, len(sound) - piece + 1, piece)
    first = next((at for at in places if share_of(sound[at : at + piece], CALLEE_TONE) > 0.8), None)
    assert first is not None, f"the callee is not heard in {len(sound)} samples"
    return first


@pytest.mark.parametrize(
    ("pool", "config"),
    [
        ({}, {"AXNRing_N": TONE_CODE}),
        # The binding's beats the pool's, and one that is not there falls back.
        ({"ring_tone_other": "0"}, {"AXNRing_N": TONE_CODE}),
        ({"ring_tone_other": TONE_CODE}, {"AXNRing_N": OTHER_CODE}),
        ({"ring_tone_other": TONE_CODE}, None),
    ],
)
def test_the_tone_is_heard_until_the_answer(service, scene, pool, config):
    messages, sound = dial(Exchange(service, **pool), scene, config, early=183, tone=TONE_CODE)
    check_tone(messages, sound)


def test_the_networks_own_tone_needs_no_file(service, scene):
    _, sound = dial(Exchange(service), scene, {"AXNRing_N": "0"}, early=183, tone="0")
    assert share_of(sound[: RATE * 9 // 10], 450) > 0.8


def test_without_a_tone_a_ringing_stays_one(service, scene):
    messages, sound = dial(Exchange(service), scene, {"AXNRing_AB": TONE_CODE}, early=180, tone=None)
    [ringing] = [one for one in messages if status_of(one) == 180]
    assert "m=audio" not in ringing
    assert share_of(sound, CALLEE_TONE) > 0.8
