"""The matrix of calls: who dials X under which binding, and what must become of it.

All cells are dialled at once, on X numbers of their own. How each call ends stands in one table, taken
from telephone practice.
"""

import array
import json
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from calls import carrier as phones
from calls.exchange import CALLEE_HOST, CALLER_HOST, Exchange
from calls.script import G729_ONLY, calls, gives_up, is_refused
from calls.sipp import Sipp, header, q850, status_of
from calls.voice import QUIET, RATE, SAME_MIN, Voice, correlation, energy, likeness, save_wav
from support.gateway import bound, china_time

# How each situation ends: status, Q.850 cause.
ENDS = {
    "vacant_number": (404, 1),
    "no_binding": (404, 1),
    "restricted": (403, 21),
    "call_back_off": (403, 21),
    "busy": (486, 17),
    "no_answer": (480, 19),
    "declined": (603, 21),
    "unreachable": (502, 38),
    "no_common_codec": (488, 65),
    "loop": (482, 25),
    "caller_gave_up": (487, 16),
}
# What the caller hears before the end, if anything. Our own words are replaced by voices, as an operator
# may do, so that each is known when it is heard.
SAYS = {
    "vacant_number": "vacant_number",
    "no_binding": "not_in_use",
    "restricted": "cannot_connect",
    "call_back_off": "cannot_connect",
    "busy": "busy",
    "no_answer": "no_answer",
    "declined": "refused",
    "unreachable": "unreachable",
}
WORDS = {word: Voice(word) for word in sorted(set(SAYS.values()))}
WORDS_S = 1.6
# A ring tone as an operator adds one, and its code; it begins anew for as long as it rings.
TONE, TONE_S = Voice("a ring tone"), 6
TONE_CODE = "100000001"
# Samples of 20 ms.
PACKET = RATE // 50
# The busy tone of the telephone network follows.
BUSY_TONE_S = 3

# The shortest life of a binding is a minute.
EXPIRES_S = 62
LIVES_S = 900
RINGS_S = 5
TALK_MS = 400


@dataclass(frozen=True)
class Cell:
    """One call. `a` and `b` are how the phones of A and B behave; `b` is None without a B."""

    name: str
    dials: str
    rings: str = None
    situation: str = None
    product: str = "AXN"
    a: str = phones.ANSWERS
    b: str = None
    restrict: str = None
    over: str = None
    pool: dict = field(default_factory=dict)
    cause: int = None
    codecs: tuple = None
    # The scene of RingConfig that names our ring tone.
    ring: str = None

    def __str__(self):
        return f"{self.product} {self.name}"


CELLS = [
    Cell("A without B", "A", None, "vacant_number"),
    Cell("A with B", "A", "B", b=phones.ANSWERS),
    Cell("B", "B", "A", b=phones.ANSWERS),
    Cell("anyone", "N", "A"),
    Cell("withheld", "withheld", "A"),
    Cell("anyone, expired", "N", None, "no_binding", over="expired"),
    Cell("A, expired", "A", None, "no_binding", b=phones.ANSWERS, over="expired"),
    Cell("anyone, unbound", "N", None, "no_binding", over="unbound"),
    Cell("A may not dial, A does", "A", None, "restricted", b=phones.ANSWERS, restrict="CONTROL_AX_DISABLE"),
    Cell("A may not dial, N does", "N", "A", restrict="CONTROL_AX_DISABLE"),
    Cell("N may not dial, N does", "N", None, "restricted", restrict="CONTROL_BX_DISABLE"),
    Cell("N may not dial, A does", "A", "B", b=phones.ANSWERS, restrict="CONTROL_BX_DISABLE"),
    Cell("restriction cleared", "N", "A", restrict="CONTROL_CLEAR_DISABLE"),
    Cell("A, call-back off", "A", None, "call_back_off", b=phones.ANSWERS, pool={"a_call_back": False}),
    Cell("N, call-back off", "N", "A", b=phones.ANSWERS, pool={"a_call_back": False}),
    Cell("busy", "N", "A", "busy", a=phones.BUSY),
    Cell("busy, all circuits taken", "N", "A", "busy", a=phones.FULL, cause=34),
    Cell("refused", "N", "A", "declined", a=phones.DECLINES),
    Cell("no answer", "N", "A", "no_answer", a=phones.SILENT),
    Cell("no answer, with a ring tone", "N", "A", "no_answer", a=phones.SILENT, ring="AXNRing_N"),
    Cell("no answer, with A's ring tone", "N", "A", "no_answer", a=phones.SILENT, ring="AXNRing_AB"),
    Cell("A without B, with a ring tone", "A", None, "vacant_number", ring="AXNRing_A"),
    Cell("powered off, says its network", "N", "A", "no_answer", a=phones.POWERED_OFF, cause=20),
    Cell("unreachable", "N", "A", "unreachable", a=phones.DEAD),
    Cell("codec mismatch", "N", "A", "no_common_codec", a=phones.MUTE),
    Cell("G.729 answered by A-law", "N", "A", "no_common_codec", codecs=G729_ONLY),
    Cell("caller gives up", "N", "A", "caller_gave_up", a=phones.SILENT),
    Cell("X dials itself", "X", None, "loop"),
    Cell("A", "A", "B", product="AXB", b=phones.ANSWERS),
    Cell("B", "B", "A", product="AXB", b=phones.ANSWERS),
    Cell("stranger", "N", None, "no_binding", product="AXB", b=phones.ANSWERS),
    Cell("withheld", "withheld", None, "no_binding", product="AXB", b=phones.ANSWERS),
    Cell("A, expired", "A", None, "no_binding", product="AXB", b=phones.ANSWERS, over="expired"),
    Cell("A may not dial, A does", "A", None, "restricted", product="AXB", b=phones.ANSWERS,
         restrict="CONTROL_AX_DISABLE"),
    Cell("A may not dial, B does", "B", "A", product="AXB", b=phones.ANSWERS, restrict="CONTROL_AX_DISABLE"),
    Cell("B may not dial, B does", "B", None, "restricted", product="AXB", b=phones.ANSWERS,
         restrict="CONTROL_BX_DISABLE"),
    Cell("B may not dial, A does", "A", "B", product="AXB", b=phones.ANSWERS, restrict="CONTROL_BX_DISABLE"),
    Cell("B busy", "A", "B", "busy", product="AXB", b=phones.BUSY),
    Cell("X dials itself", "X", None, "loop", product="AXB", b=phones.ANSWERS),
]


class Dialled:
    """A cell with its binding, its caller under way, and the numbers in it."""

    def __init__(self, cell, number, worlds, scene):
        self.cell = cell
        self.scene = scene / f"{number:02}"
        self.scene.mkdir()
        self.a, self.b, self.n = (f"13{side}000{number:02}" for side in (50, 60, 70))
        self.a += cell.a
        self.b = self.b + cell.b if cell.b else None
        self.n += phones.ANSWERS
        world = worlds[(cell.product, tuple(cell.pool.items()))]
        api = world.gateway()
        lives_s = EXPIRES_S if cell.over == "expired" else LIVES_S
        self.over_at = datetime.now(timezone.utc) + timedelta(seconds=lives_s)
        # A pool of pairs would put several of them on one X.
        x = world.numbers["北京"].pop()
        terms = {"Expiration": china_time(self.over_at), "PhoneNoX": x}
        terms |= {"CallRestrict": cell.restrict} if cell.restrict else {}
        terms |= {"RingConfig": json.dumps({cell.ring: TONE_CODE})} if cell.ring else {}
        terms |= {"CallTimeout": RINGS_S} if cell.a == phones.SILENT else {}
        if cell.product == "AXB":
            answer = api.bind_axb(self.a, self.b, **terms)
        else:
            answer = api.bind_axn(self.a, **terms, **({"PhoneNoB": self.b} if self.b else {}))
        subs_id, self.x = bound(answer)
        if cell.over == "unbound":
            assert api.unbind(subs_id, self.x).code == "OK"

    @property
    def caller(self):
        return {"A": self.a, "B": self.b, "N": self.n, "X": self.x, "withheld": "anonymous"}[self.cell.dials]

    @property
    def callee(self):
        return {"A": self.a, "B": self.b, None: None}[self.cell.rings]

    @property
    def end(self):
        status, cause = ENDS[self.cell.situation]
        return status, self.cell.cause or cause

    @property
    def said(self):
        """The prompt that the caller is to hear; none where the callee's network has spoken."""
        if self.cell.a == phones.POWERED_OFF or self.cell.ring == "AXNRing_A":
            return None
        return SAYS.get(self.cell.situation)

    @property
    def rings_s(self):
        """How long the caller is to hear the ring tone."""
        return {"AXNRing_N": RINGS_S, "AXNRing_A": TONE_S}.get(self.cell.ring, 0)

    def dial(self, exchange):
        extra = {"codecs": self.cell.codecs} if self.cell.codecs else {}
        keys = {"caller": self.caller}
        if self.cell.dials == "withheld":
            extra["extra"] = ["Privacy: id"]
            keys |= {"from": '"Anonymous" ', "from_host": "anonymous.invalid"}
        if self.cell.situation == "caller_gave_up":
            script = gives_up(**extra)
        elif self.cell.situation:
            script = is_refused(self.end[0], **extra)
        else:
            script = calls(TALK_MS, **extra)
        self.sipp = Sipp(
            self.scene, "caller", script, CALLER_HOST, remote=exchange.sip, tone=440, service=self.x, **keys
        )


def put_words(directory):
    """Our prompts as an operator would replace them."""
    folder = directory / "zh"
    folder.mkdir(parents=True)
    for word, voice in WORDS.items():
        save_wav(folder / f"{word}.wav", voice.samples[: int(WORDS_S * RATE)])
    tones = directory / "tones"
    tones.mkdir()
    save_wav(tones / f"{TONE_CODE}.wav", TONE.samples[: TONE_S * RATE])


def tone_end(sound):
    """Where the ring tone ends with which the sound begins. It is our own file, sample for sample."""
    file, end = TONE.samples[: TONE_S * RATE], 0
    while end + PACKET <= len(sound):
        at = end % len(file)
        if correlation(sound[end : end + PACKET], file[at : at + PACKET]) < SAME_MIN:
            break
        end += PACKET
    return end


class Matrix:
    """Every cell with its binding, dialled at once but for those that have to get old first."""

    def __init__(self, service, scene):
        self.exchange = Exchange(service)
        port = self.exchange.carrier()
        kinds = {(cell.product, tuple(cell.pool.items())) for cell in CELLS}
        worlds = {
            kind: self.exchange.operator.world({"北京": 30}, product=kind[0], **dict(kind[1]))
            for kind in kinds
        }
        self.cells = {}
        for number, cell in enumerate(CELLS):
            self.cells[str(cell)] = Dialled(cell, number, worlds, scene)
        self.carrier = Sipp(
            scene, "carrier", phones.carrier(), CALLEE_HOST, port=port, calls=10_000, seconds=600
        ).await_listening()
        self.dial(cell for cell in self.cells.values() if cell.cell.over != "expired")

    def dial(self, cells):
        cells = list(cells)
        for cell in cells:
            cell.dial(self.exchange)
        for cell in cells:
            cell.sipp.process.wait(60)

    def dial_expired(self):
        """Waits until the old ones are over; nothing but the passing of time brings this about."""
        old = [cell for cell in self.cells.values() if cell.cell.over == "expired"]
        end = max(cell.over_at for cell in old)
        time.sleep(max(0.0, (end - datetime.now(timezone.utc)).total_seconds()))
        self.dial(old)

    def check(self, name):
        """Whether the call of a cell went as it must, by what each side saw and what is on record."""
        call = self.cells[name]
        cell = call.cell
        call.sipp.wait()
        received = call.sipp.messages()
        rung = [
            invite
            for invite in self.carrier.messages()
            if invite.startswith("INVITE ") and call.x in header(invite, "From")
        ]
        dialled = {invite.split("@")[0].split(":")[1] for invite in rung}
        assert dialled == ({call.callee} if call.callee else set())
        if call.caller != "anonymous":
            assert call.caller not in "".join(rung) or call.caller == call.x, "the callee was told who calls"
        others = {call.a, call.b, call.n} - {call.caller, None}
        assert not [one for one in others if one in "".join(received)], "the caller was told too much"
        record = self.exchange.record(call.x)
        caller = None if call.caller == "anonymous" else call.caller
        assert (record["caller"], record["callee"], record["x"]) == (caller, call.callee, call.x)
        if cell.situation is None:
            ended = record["situation"], record["sip_status"], record["release_by"]
            assert ended == ("hung_up", 200, "caller")
            return
        status, cause = call.end
        [final] = [message for message in received if (status_of(message) or 0) >= 300]
        assert status_of(final) == status
        ended = record["situation"], record["sip_status"], record["q850_cause"]
        assert ended == (cell.situation, status, cause)
        if cell.situation != "caller_gave_up":
            assert q850(final) == cause, final
        self.check_sound(call)

    def check_sound(self, call):
        """The right words were heard, and no others; where nothing is said, nothing was heard."""
        sound = array.array("h", call.sipp.heard().samples)
        if call.rings_s:
            end = tone_end(sound)
            # It rings from the 180 on until a time that counts from the INVITE: on a busy machine, less.
            assert end > call.rings_s * RATE // 2, f"a ring tone of {end} samples was heard"
            sound = sound[end:]
        if not call.said:
            assert len(sound) < RATE // 10 or energy(sound) < QUIET, "something was said"
            return
        tone_s = BUSY_TONE_S if call.said == "busy" else 0
        heard_s = len(sound) / RATE
        assert WORDS_S - 0.3 < heard_s < WORDS_S + tone_s + 0.3, f"{heard_s} s were heard"
        words = sound[: int(WORDS_S * RATE)]
        alike = {word: likeness(words, voice) for word, voice in WORDS.items()}
        assert max(alike, key=alike.get) == call.said and alike[call.said] > SAME_MIN, alike
