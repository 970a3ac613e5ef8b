"""What somebody who has not proven to be there makes us send to others, in sum over all his calls."""

import threading
import time

from abuse.minimal_phone import HEADERS_BYTES, Media, Phone, StreamPhone, carrier, media_in, sdp
from calls.addresses import free_port
from calls.exchange import CALLEE_HOST, CALLER_HOST

VICTIM_HOST = "127.0.1.67"
STREAM_HOST, STREAM_CALLED_HOST = "127.0.1.68", "127.0.1.69"
# What each call, and what all calls together send within a minute to an address from which nothing has come, where
# anybody could have sent the INVITE (docs/media.md); and what each byte of an INVITE brings the victim at most.
CALL_BYTES, SUM_BYTES = 4 * 1_024, 64 * 1_024
CALL_FACTOR, SUM_FACTOR = 10, 4
# By one caller, and on one number, there are no more calls at once.
PER_CALLER, PER_X = 20, 30


class Victim(Media):
    """Somebody who never called; counts what comes, packets with their headers."""

    def __init__(self):
        super().__init__(VICTIM_HOST)
        self.bytes = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._count, daemon=True)
        self.thread.start()

    def _count(self):
        while not self.over.wait(0.05):
            self.bytes += self.heard_bytes()

    def settle(self):
        """What has come, once nothing more will."""
        self.over.set()
        self.thread.join()
        self.bytes += self.heard_bytes()
        return self.bytes


def calls_that_name(exchange, place, victim, count, kind=Phone, host=CALLER_HOST):
    """So many calls to numbers that play a prompt, whose media is said to be at the victim; bytes of the INVITEs."""
    phones = []
    for number in range(count):
        phone = place(kind(host, exchange.switch))
        phone.number = f"1380000{number // PER_CALLER:04}"
        phone.dial(exchange.vacant(number // PER_X), sdp(victim.host, victim.port))
        phones.append(phone)
    return phones, sum(phone.sent_bytes for phone in phones)


def test_calls_that_name_one_victim_send_it_little_in_sum(exchange, place, record_property):
    carrier(exchange, place)
    one = Victim()
    [phone], asked = calls_that_name(exchange, place, one, 1)
    phone.await_final()
    sent = one.settle()
    print(f"one call: {sent} bytes for {asked}: {sent / asked:.1f}")
    record_property("amplification of one call", round(sent / asked, 1))
    assert 0 < sent <= min(CALL_BYTES, CALL_FACTOR * asked)
    many = Victim()
    phones, asked = calls_that_name(exchange, place, many, 40)
    for phone in phones:
        phone.await_final()
    sent += many.settle()
    print(f"forty calls: {sent} bytes for {asked}: {sent / asked:.1f}")
    record_property("amplification of forty calls", round(sent / asked, 1))
    assert sent <= min(SUM_BYTES, SUM_FACTOR * asked)


def test_who_is_proven_to_be_there_is_not_held_down_by_others(exchange, place, record_property):
    carrier(exchange, place)
    exchange.trunk(
        "streams", f"{STREAM_CALLED_HOST}:{free_port(STREAM_CALLED_HOST)}", sources=[STREAM_HOST],
        transport="tcp", prompts="early",
    )
    by_anybody, by_peer = Victim(), Victim()
    phones, asked = calls_that_name(exchange, place, by_anybody, 30)
    peers, _ = calls_that_name(exchange, place, by_peer, 10, StreamPhone, STREAM_HOST)
    for phone in [*phones, *peers]:
        phone.await_final()
    sent, heard = by_anybody.settle(), by_peer.settle()
    print(f"thirty calls of anybody's: {sent} bytes for {asked}; ten of a peer's: {heard} bytes")
    record_property("bytes of ten calls of a peer over TCP", heard)
    assert sent <= min(SUM_BYTES, SUM_FACTOR * asked)
    assert heard > 10 * 2 * 16 * 1_024, "each hears its prompt whole"


def test_who_speaks_is_sent_everything_while_others_have_used_up_the_sum(exchange, place):
    carrier(exchange, place)
    victim = Victim()
    phones, _ = calls_that_name(exchange, place, victim, 30)
    media = place(Media(VICTIM_HOST))
    caller = place(Phone(CALLER_HOST, exchange.switch))
    caller.number = "13800009999"
    caller.dial(exchange.vacant(1), sdp(media.host, media.port))
    media.say(media_in(caller.await_message("^SIP/2.0 183")))
    media.heard()
    caller.await_final()
    # No packet is missing among those that came since.
    numbers = [int.from_bytes(packet[2:4], "big") for packet in media.heard() if packet[1] & 0x7F == 8]
    assert len(numbers) > 100
    assert all((after - before) % 0x10000 == 1 for before, after in zip(numbers, numbers[1:]))
    for phone in phones:
        phone.await_final()
    victim.settle()


def test_who_acknowledges_the_early_answer_hears_the_prompt_without_speaking(exchange, place):
    carrier(exchange, place)
    media = place(Media("127.0.1.70"))
    caller = place(Phone(CALLER_HOST, exchange.switch))
    caller.number = "13800008888"
    caller.dial(exchange.vacant(2), sdp(media.host, media.port), "Supported: 100rel\r\n")
    caller.prack(caller.await_message("^SIP/2.0 183"))
    caller.await_final()
    assert media.heard_bytes() > 2 * 16 * 1_024


class Named(Media):
    """An address that somebody names in a Contact; counts the SIP messages that come."""

    def __init__(self):
        super().__init__(VICTIM_HOST)
        self.messages = []

    @property
    def contact(self):
        return f"{self.host}:{self.port}"

    def await_first(self, seconds=90):
        self.socket.settimeout(seconds)
        self.messages.append(self.socket.recv(65_535))

    def methods(self):
        self.messages += self.heard()
        return [message.split(b" ", 1)[0].decode() for message in self.messages]

    def bytes(self):
        return sum(len(message) + HEADERS_BYTES for message in self.messages)


def never_acknowledged(caller, callee):
    """A caller that is somewhere else gets no answer, and so acknowledges none."""
    callee.reply(200, sdp(CALLEE_HOST, 4_000))
    caller.await_message("^SIP/2.0 200")


def acknowledged(caller, callee):
    """A caller that is there names somebody else, and the callee hangs up."""
    callee.reply(200, sdp(CALLEE_HOST, 4_000))
    caller.await_final()
    callee.hang_up()


def answered(caller, callee):
    """A callee names somebody else in its answer, and the caller hangs up."""
    callee.reply(200, sdp(CALLEE_HOST, 4_000))
    caller.await_final()
    caller.request("BYE")


def rings(caller, callee):
    """A callee names somebody else while it rings, and wants an acknowledgement."""
    callee.reply(183, sdp(CALLEE_HOST, 4_000), "Require: 100rel\r\nRSeq: 1\r\n")
    caller.await_message("^SIP/2.0 18")


# What happens, whose Contact names somebody else, and what that one is sent at most.
NAMED = [
    (never_acknowledged, "caller", {"BYE": 3}),
    (acknowledged, "caller", {"BYE": 3}),
    (answered, "callee", {"ACK": 1, "BYE": 3}),
    (rings, "callee", {"PRACK": 3}),
]


def test_who_is_named_in_a_contact_is_sent_little(exchange, place, record_property):
    port = free_port(CALLEE_HOST)
    exchange.carrier(port, prompts="early")
    rows = []
    for row, (attack, who, most) in enumerate(NAMED):
        named = place(Named())
        # One at a time, since all calls go to one port.
        callee = place(Phone(CALLEE_HOST, exchange.switch, port))
        caller = place(Phone(CALLER_HOST, exchange.switch))
        caller.number = f"1380000777{row}"
        (caller if who == "caller" else callee).contact = named.contact
        caller.dial(exchange.axn(exchange.party()), sdp(CALLER_HOST, 4_000))
        callee.await_invite()
        attack(caller, callee)
        asked = (caller if who == "caller" else callee).sent_bytes
        callee.close()
        rows.append((attack, named, most, asked))
    for _, named, *_ in rows:
        named.await_first()
    # The fourth would come 3.5 s after the first; a busy machine has more.
    time.sleep(8)
    for attack, named, most, asked in rows:
        methods = named.methods()
        found = {method: methods.count(method) for method in methods}
        print(f"{attack.__name__}: {found}, {named.bytes()} bytes for {asked}: {named.bytes() / asked:.1f}")
        record_property(f"amplification: {attack.__name__}", round(named.bytes() / asked, 1))
        assert found.keys() == most.keys(), attack.__name__
        assert all(found[method] <= most[method] for method in most), (attack.__name__, found)
