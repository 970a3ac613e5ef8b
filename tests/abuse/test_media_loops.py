"""Media that names our own ports: a PBX beside us may connect two calls, and no packet goes round in a loop."""

from abuse.minimal_phone import Media, Phone, media_in, sdp
from calls.addresses import free_port
from calls.exchange import CALLEE_HOST, CALLER_HOST, Exchange
from calls.network import Network
from support.process import Maskline

SERVER, LATER = "10.78.0.1", "10.78.0.9"
ATTEMPTS_MAX = 30


class Calls:
    """A service with a carrier, and calls by it."""

    def __init__(self, service, place):
        self.exchange, self.place = Exchange(service), place
        self.switch = self.exchange.switch
        called = free_port(CALLEE_HOST)
        self.exchange.carrier(called, prompts="early")
        self.callee = place(Phone(CALLEE_HOST, self.switch, called))

    def dial(self, at):
        """A caller whose media is said to be there; where the callee is told that ours is."""
        caller = self.place(Phone(CALLER_HOST, self.switch))
        caller.dial(self.exchange.axn(self.exchange.party()), sdp(*at))
        return caller, media_in(self.callee.await_invite())

    def answer(self, caller, at):
        self.callee.reply(200, sdp(*at))
        return caller.await_final()

    def end(self, *callers):
        for caller in callers:
            caller.request("BYE")
            caller.await_message("^SIP/2.0 200")


def test_a_pbx_connects_two_calls_by_naming_our_port_of_the_other_in_its_first_offer(maskline, place):
    calls = Calls(maskline, place)
    one, other = place(Media(CALLEE_HOST)), place(Media(CALLEE_HOST))
    first, ours_for_one = calls.dial((CALLER_HOST, 4_000))
    ours_of_first = media_in(calls.answer(first, (one.host, one.port)))
    second, ours_for_other = calls.dial(ours_of_first)
    ours_of_second = media_in(calls.answer(second, (other.host, other.port)))
    first.request("INVITE", sdp(*ours_of_second))
    calls.callee.await_invite()
    calls.callee.reply(200, sdp(one.host, one.port))
    assert first.await_final().startswith("SIP/2.0 200"), "it leads to the other callee and nowhere else"

    def both():
        one.say(ours_for_one, ssrc=1, byte=0x11)
        other.say(ours_for_other, ssrc=2, byte=0x22)

    assert one.await_byte(0x22, both) and other.await_byte(0x11, both)
    # Nobody hears himself.
    assert not any(packet[-1] == 0x11 for packet in one.heard() if len(packet) == 172)
    calls.end(first, second)


def test_an_address_that_the_machine_gets_later_is_ours_as_well(place, tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text('[rtp]\nbind = "0.0.0.0"\nadvertised = "127.0.0.1"\n')
    with Network() as network:
        host = network.host("server", SERVER)
        with host:
            service = Maskline(tmp_path / "data", args=["--config", str(settings)]).start()
            try:
                calls = Calls(service, place)
                refused = []
                for attempt in range(ATTEMPTS_MAX):
                    caller, ours = calls.dial((CALLER_HOST, 4_000))
                    answer = calls.answer(caller, (LATER, ours[1]))
                    refused.append(answer.startswith("SIP/2.0 488"))
                    if refused[-1]:
                        break
                    calls.end(caller)
                    if attempt == 0:
                        host.run("ip", "addr", "add", f"{LATER}/24", "dev", "up0")
                    # The machine's addresses are read again every five seconds.
                    place(Media(CALLER_HOST)).await_byte(0, lambda: None, seconds=1)
                assert refused[0] is False and refused[-1] is True
            finally:
                service.stop()
