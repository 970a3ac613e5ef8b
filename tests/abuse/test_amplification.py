"""What somebody who has not proven to be there makes us send to others, in sum over all his calls."""

import threading
from contextlib import ExitStack, closing

import pytest

from abuse.plain_phone import Media, Phone, StreamPhone, media_in, sdp
from abuse.test_media import carrier, switch, vacant
from calls.addresses import free_port
from calls.exchange import CALLER_HOST, Exchange
from support.process import Maskline

VICTIM_HOST = "127.0.1.67"
STREAM_HOST, STREAM_CALLED_HOST = "127.0.1.68", "127.0.1.69"
# What each call, and what all calls together send within a minute to an address from which nothing has come, where
# anybody could have sent the INVITE (docs/media.md); and what each byte of an INVITE brings the victim at most.
CALL_BYTES, SUM_BYTES = 4 * 1_024, 64 * 1_024
CALL_FACTOR, SUM_FACTOR = 10, 4
# By one caller, and on one number, there are no more calls at once.
PER_CALLER, PER_X = 20, 30


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    service = Maskline(tmp_path_factory.mktemp("exchange") / "data")
    service.start()
    yield Exchange(service)
    service.stop()


@pytest.fixture
def place():
    with ExitStack() as stack:
        yield lambda thing: stack.enter_context(closing(thing))


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
        phone = place(kind(host, switch(exchange)))
        phone.number = f"1380000{number // PER_CALLER:04}"
        phone.dial(vacant(exchange, number // PER_X), sdp(victim.host, victim.port))
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
    caller = place(Phone(CALLER_HOST, switch(exchange)))
    caller.number = "13800009999"
    caller.dial(vacant(exchange, 1), sdp(media.host, media.port))
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
