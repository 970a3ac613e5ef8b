"""Host names where descriptions have an address: looked up by the server of names that the settings name, shared out
among trunks, and never long waited for."""

import re

import pytest

from abuse.minimal_phone import Media, Phone, field, media_in, sdp
from calls.addresses import free_port
from calls.exchange import CALLEE_HOST, CALLER_HOST, Exchange
from calls.names import AAAA, A, Names
from support.process import Maskline

SECOND_HOST = "127.0.1.6"
NO_ADDRESS = "No address was found for the host name in c="


@pytest.fixture
def named(tmp_path):
    """A service whose server of names a test fills: both. Two trunks call, and a third one is called."""
    with Names() as names:
        settings = tmp_path / "settings.toml"
        # All these calls are of one caller, and some of them to one X.
        bounds = "[calls]\nper_x_max = 100\nper_caller_max = 100\n"
        settings.write_text(f'[sip]\nresolver = "{names.address}"\n{bounds}')
        service = Maskline(tmp_path / "data", args=["--config", str(settings)])
        try:
            exchange = Exchange(service.start())
            for name, host in (("first", CALLER_HOST), ("second", SECOND_HOST)):
                exchange.trunk(name, f"{host}:5060", outgoing=False, prompts="none")
            yield exchange, names
        finally:
            service.stop()


def called(exchange, place, **fields):
    port = free_port(CALLEE_HOST)
    exchange.trunk("carrier", f"{CALLEE_HOST}:{port}", **fields)
    return place(Phone(CALLEE_HOST, exchange.switch, port))


def calling(exchange, place, host=CALLER_HOST):
    return place(Phone(host, exchange.switch))


def talk(exchange, place, caller_at, callee_at):
    """A call between phones that say these places: both, X, and what each was told of our media."""
    callee, caller = called(exchange, place), calling(exchange, place)
    x = exchange.axn(exchange.party())
    caller.dial(x, sdp(*caller_at))
    ours = media_in(callee.await_invite())
    callee.reply(200, sdp(*callee_at))
    answer = caller.await_final()
    assert answer.startswith("SIP/2.0 200"), answer
    return caller, callee, x, media_in(answer), ours


def hang_up(caller, callee):
    caller.request("BYE")
    callee.invite = callee.await_message("^BYE ")
    callee.reply(200)
    caller.await_message("^SIP/2.0 200")


def test_both_sides_may_say_names(named, place):
    exchange, names = named
    names.records["caller.media.example"] = [(A, CALLER_HOST)]
    names.records["callee.media.example"] = [(AAAA, "2001:db8::3"), (A, CALLEE_HOST)]
    mine, other = place(Media(CALLER_HOST)), place(Media(CALLEE_HOST))
    caller, callee, x, ours_for_caller, ours = talk(
        exchange, place, ("caller.media.example", mine.port), ("Callee.Media.Example.", other.port)
    )

    def both():
        mine.say(ours_for_caller, byte=0x11)
        other.say(ours, byte=0x22)

    assert mine.await_byte(0x22, both) and other.await_byte(0x11, both)
    hang_up(caller, callee)
    assert exchange.record(x)["situation"] == "hung_up"
    assert "media.example" not in exchange.service.log_path.read_text()


def test_slow_names_of_one_trunk_keep_no_other_waiting(named, place):
    exchange, names = named
    callee = called(exchange, place)
    names.silent = {f"slow{n}.example" for n in range(12)}
    names.records["quick.example"] = [(A, SECOND_HOST)]
    slow = [calling(exchange, place) for _ in names.silent]
    for n, phone in enumerate(slow):
        phone.dial(exchange.axn(exchange.party()), sdp(f"slow{n}.example", 4_000))
        phone.await_message("^SIP/2.0 100")
    x = exchange.axn(exchange.party())
    quick = calling(exchange, place, SECOND_HOST)
    quick.dial(x, sdp("quick.example", 4_000))
    callee.await_invite()
    callee.reply(486)
    assert quick.await_final().startswith("SIP/2.0 486")
    for phone in slow:
        assert_comes_again(phone.await_final())


def assert_comes_again(answer):
    assert answer.startswith("SIP/2.0 503 "), answer
    assert field(answer, "Retry-After") and "cause=41" in field(answer, "Reason"), answer


def test_names_beyond_the_queue_come_again_and_are_not_taken_for_unknown(named, place):
    exchange, names = named
    callee = called(exchange, place)
    # Two are looked up, 32 wait.
    names.silent = {f"m{n}.example" for n in range(45)}
    x = exchange.axn(exchange.party())
    phones = [calling(exchange, place) for _ in names.silent]
    for n, phone in enumerate(phones):
        phone.dial(x, sdp(f"m{n}.example", 4_000))
    for phone in phones:
        assert_comes_again(phone.await_final())
    assert len(exchange.await_closed(x, count=45)) == 45
    assert {record["situation"] for record in exchange.records(x)} == {"media_unresolved"}
    # As soon as somebody answers for it, each of them is good again: one that was asked for, and one that was not.
    names.silent = set()
    for n in (0, 44):
        names.records[f"m{n}.example"] = [(A, CALLER_HOST)]
        caller = calling(exchange, place)
        caller.dial(x, sdp(f"m{n}.example", 4_000))
        callee.await_invite()
        callee.reply(486)
        assert caller.await_final().startswith("SIP/2.0 486")


REFUSED = {
    "no such name": (None, "399", NO_ADDRESS),
    "a name without addresses": ([], "399", NO_ADDRESS),
    "a name with addresses of IPv6 alone": ([(AAAA, "2001:db8::9")], "301", "Incompatible network address formats"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_name_that_is_of_no_use_is_refused_with_the_reason(named, place, what):
    exchange, names = named
    records, code, told = REFUSED[what]
    if records is not None:
        names.records["m.example"] = records
    callee, caller, x = called(exchange, place), calling(exchange, place), exchange.axn(exchange.party())
    caller.dial(x, sdp("m.example", 4_000))
    answer = caller.await_final()
    assert answer.startswith("SIP/2.0 488 "), answer
    assert re.fullmatch(rf'{code} \S+ "{told}"', field(answer, "Warning")), answer
    assert exchange.record(x)["situation"] == "no_common_codec"
    # Nobody was called.
    with pytest.raises(AssertionError):
        callee.await_message("^INVITE ", seconds=0.2)


def test_a_caller_that_gives_up_while_its_name_is_looked_up_is_let_go_at_once(named, place):
    exchange, names = named
    names.silent = {"m.example"}
    callee, caller, x = called(exchange, place), calling(exchange, place), exchange.axn(exchange.party())
    sent = []
    send, caller.send = caller.send, lambda text: (sent.append(text), send(text))
    caller.dial(x, sdp("m.example", 4_000))
    caller.await_message("^SIP/2.0 100")
    [invite] = sent
    cancel = invite.split("\r\nContact:")[0].replace("INVITE", "CANCEL")
    send(cancel + "\r\nContent-Length: 0\r\n\r\n")
    finals = [caller.await_message("^SIP/2.0 [2-6]") for _ in range(2)]
    assert sorted(final.split(" ")[1] for final in finals) == ["200", "487"]
    caller.ack()
    assert exchange.record(x)["situation"] == "caller_gave_up"
    with pytest.raises(AssertionError):
        callee.await_message("^INVITE ", seconds=0.2)


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_callee_whose_name_leads_nowhere_is_hung_up_on(named, place, is_silent):
    exchange, names = named
    names.silent = {"callee.example"} if is_silent else set()
    status, cause = ("503", 41) if is_silent else ("488", 65)
    callee, caller, x = called(exchange, place), calling(exchange, place), exchange.axn(exchange.party())
    caller.dial(x, sdp(CALLER_HOST, 4_000))
    callee.await_invite()
    callee.reply(200, sdp("callee.example", 4_000))
    callee.await_message("^ACK ")
    callee.invite = callee.await_message("^BYE ")
    assert f"cause={cause}" in field(callee.invite, "Reason")
    callee.reply(200)
    answer = caller.await_final()
    assert answer.startswith(f"SIP/2.0 {status} "), answer
    assert "Warning" not in answer, "the caller hears nothing of the callee's names"
    assert exchange.record(x)["sip_status"] == int(status)


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_new_offer_whose_name_leads_nowhere_is_refused_and_the_call_goes_on(named, place, is_silent):
    exchange, names = named
    names.silent = {"m.example"} if is_silent else set()
    mine, other = place(Media(CALLER_HOST)), place(Media(CALLEE_HOST))
    caller, callee, x, ours_for_caller, ours = talk(
        exchange, place, (CALLER_HOST, mine.port), (CALLEE_HOST, other.port)
    )
    caller.request("INVITE", sdp("m.example", 4_000))
    answer = caller.await_final()
    assert answer.startswith("SIP/2.0 488 ") and NO_ADDRESS in field(answer, "Warning"), answer

    def both():
        mine.say(ours_for_caller, byte=0x11)
        other.say(ours, byte=0x22)

    assert mine.await_byte(0x22, both) and other.await_byte(0x11, both)
    hang_up(caller, callee)
    assert exchange.record(x)["situation"] == "hung_up"
