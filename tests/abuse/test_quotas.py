"""What one account, or one X, may have of what all share."""

from contextlib import ExitStack, closing

import pytest

from abuse.connections import metric, metric_now, wait_for
from abuse.minimal_phone import Media, Phone, sdp
from calls.exchange import CALLEE_HOST, CALLER_HOST, Exchange
from support.gateway import bound, expiration
from support.operator import Operator
from support.process import Maskline

FULL = "isv.FORBIDDEN_ACTION"
QUOTA = 3
PER_X_MAX = 2
PORTS = "maskline_rtp_ports_lent"
# Calls to an X that carries as many as it may.
TOO_MANY = 12


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    home = tmp_path_factory.mktemp("quotas")
    (home / "settings.toml").write_text(f"[calls]\nper_x_max = {PER_X_MAX}\nper_caller_max = 1000\n")
    service = Maskline(home / "data", args=["--config", str(home / "settings.toml")])
    yield service.start()
    service.stop()


def test_an_account_has_no_more_bindings_than_its_quota(service):
    operator = Operator(service)
    world = operator.world(numbers={"北京": 20})
    other_world = operator.world(numbers={"北京": 20})
    second_pool = f"{world.pool}6"
    operator.pool(second_pool, world.account, product="axn")
    numbers = [f"1719{world.pool[-4:]}{index:03}" for index in range(9)]
    operator.numbers(second_pool, "北京", numbers)
    quota = ("account", "set", world.account, "--bindings-max")
    api, second = world.gateway(), world.gateway().with_pool(second_pool)
    held = []

    def bind(of=api, **params):
        answer = of.bind_axn(f"139{len(held) + 1:08}", **params)
        if answer.code == "OK":
            held.append((of, *bound(answer)))
        return answer.code

    def unbind():
        of, subs_id, x = held.pop(0)
        return of.unbind(subs_id, x).code

    def as_user():
        user = operator.user(world.account, allow=[("dypls:*", "*")])
        return bind(world.gateway(operator.key(world.account, user)))

    for _ in range(QUOTA + 1):
        assert bind() == "OK", "no quota"
    service.cli(*quota, QUOTA)
    rows = [
        # What is done, and what is answered.
        ("it has more than that", bind, FULL),
        ("in its other pool", lambda: bind(second), FULL),
        ("by a user of it", as_user, FULL),
        ("with X chosen", lambda: bind(PhoneNoX=world.numbers["北京"][19]), FULL),
        ("another account", other_world.gateway().bind_axn, "OK"),
        ("what it has can be changed", lambda: held[0][0].call(
            "UpdateSubscription", SubsId=held[0][1], PhoneNoX=held[0][2], OperateType="updateExpire",
            Expiration=expiration(90_000),
        ).code, "OK"),
        ("one less", unbind, "OK"),
        ("that many still", bind, FULL),
        ("two less", unbind, "OK"),
        ("in the place of it, in the other pool", lambda: bind(second), "OK"),
        ("and no more", bind, FULL),
        ("nor in the other pool", lambda: bind(second), FULL),
        ("a higher quota", lambda: service.cli(*quota, QUOTA + 1).returncode, 0),
        ("one more", bind, "OK"),
        ("and no other", bind, FULL),
        ("a lower one takes nothing away", lambda: service.cli(*quota, 1).returncode, 0),
        ("what there is can be read", lambda: held[-1][0].detail(*held[-1][1:]).code, "OK"),
        ("but nothing is added", bind, FULL),
        ("no quota", lambda: service.cli(*quota, 0).returncode, 0),
        ("is no bound", bind, "OK"),
    ]
    for what, do, expected in rows:
        told = do()
        assert getattr(told, "code", told) == expected, what
    assert len(held) == QUOTA + 2


@pytest.mark.parametrize("prompts", ["early", "answer", "none"])
def test_one_call_too_many_takes_no_ports(service, prompts):
    exchange = Exchange(service)
    with ExitStack() as stack:

        def place(thing):
            return stack.enter_context(closing(thing))

        def caller(media):
            phone = place(Phone(CALLER_HOST, exchange.switch))
            phone.dial(x, sdp(media.host, media.port))
            return phone

        callee, media = place(Phone(CALLEE_HOST, exchange.switch)), place(Media(CALLER_HOST))
        exchange.carrier(callee.port, prompts=prompts)
        x = exchange.axn(exchange.party())
        standing = []
        for _ in range(PER_X_MAX):
            standing.append(caller(media))
            callee.await_invite()
            callee.reply(200, sdp(CALLEE_HOST, media.port))
            standing[-1].await_final()
            callee.await_message("^ACK ")
        wait_for(lambda: metric(service.ready["admin"], PORTS) >= 2 * PER_X_MAX)
        lent = metric_now(service.ready["admin"], PORTS)
        # None of them is acknowledged at first, so each lasts while it is looked for.
        refused = [caller(media) for _ in range(TOO_MANY)]
        for phone in refused:
            answer = phone.await_message("^SIP/2.0 (18|[2-6])")
            assert answer.startswith("SIP/2.0 486 "), "no prompt is played to it"
            assert "m=audio" not in answer
        looks = metric_now(service.ready["admin"], PORTS)
        assert looks == lent, "it took ports"
        for phone in refused:
            phone.ack()
        records = exchange.await_closed(x, count=TOO_MANY)
        closed = [record["situation"] for record in records if record["state"] == "closed"]
        assert closed == ["x_full"] * TOO_MANY
        assert metric_now(service.ready["admin"], PORTS) == lent
        for phone in standing:
            phone.request("BYE")
            phone.await_message("^SIP/2.0 200")
