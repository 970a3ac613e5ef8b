"""An X that changes hands between calls: what operators see under each owner, at each moment, and what is left
for users who may look at one of two pools alone."""

import json
from contextlib import ExitStack, closing
from urllib.parse import quote

import pytest

from abuse.minimal_phone import Media, Phone, sdp
from abuse.ownership import DENIED, GONE, NOWHERE, admin, move, new_second, remove_and_add
from calls.exchange import CALLEE_HOST, CALLER_HOST
from support.gateway import bound, expiration

pytestmark = pytest.mark.timeout(300)

# Parties of the first owner, and of the second.
A1, B1, A2, B2 = "13987651111", "15887652222", "13987653333", "15887654444"


class Story:
    """An X of the first owner, with a binding and a call, and then of the second, with a call before its binding
    and one after."""

    def __init__(self, exchange, hand_over):
        self.exchange, operator = exchange, exchange.operator
        self.first, self.second = operator.world({"北京": 1}), operator.world({"北京": 1})
        [self.x] = self.first.numbers["北京"]
        with ExitStack() as stack:

            def place(thing):
                return stack.enter_context(closing(thing))

            switch = exchange.switch
            callee, media = place(Phone(CALLEE_HOST, switch)), place(Media(CALLER_HOST))
            exchange.carrier(callee.port, prompts="none")

            def call(rings):
                caller = place(Phone(CALLER_HOST, switch))
                caller.dial(self.x, sdp(media.host, media.port))
                if rings:
                    callee.await_invite()
                    callee.reply("486 Busy Here")
                caller.await_final()
                known = exchange.await_closed(self.x, count=len(self.calls) + 1)
                self.calls.append(known[-1]["call_id"])

            self.calls = []
            api = self.first.gateway()
            self.old, _ = bound(api.bind_axn(A1, PhoneNoB=B1, PhoneNoX=self.x))
            call(rings=True)
            self.under_first = new_second()
            assert api.unbind(self.old, self.x).code == "OK"
            hand_over(operator, self.x, self.second.pool)
            self.between = new_second()
            call(rings=False)
            api = self.second.gateway()
            self.new, _ = bound(api.bind_axn(A2, PhoneNoB=B2, PhoneNoX=self.x))
            call(rings=True)

    def get(self, path):
        status, answer = admin(self.exchange.service, path)
        assert status == 200, f"{path}: {answer}"
        return answer


@pytest.fixture(scope="module", params=[move, remove_and_add])
def story(request, exchange):
    return Story(exchange, request.param)


def test_calls_are_listed_under_who_had_x_when_they_came(story):
    first, second = story.first, story.second
    c1, c2, c3 = story.calls
    then = quote(story.between)
    rows = [
        # What is asked for, and the calls that are shown, the newest first.
        (f"account={first.account}", [c1]),
        (f"account={second.account}", [c3, c2]),
        (f"pool={first.pool}", [c1]),
        (f"pool={second.pool}", [c3, c2]),
        (f"x={story.x}", [c3, c2, c1]),
        (f"account={first.account}&x={story.x}", [c1]),
        (f"account={second.account}&x={story.x}", [c3, c2]),
        (f"account={first.account}&pool={first.pool}", [c1]),
        (f"account={first.account}&pool={second.pool}", []),
        (f"account={second.account}&pool={first.pool}", []),
        (f"account={first.account}&situation=busy", [c1]),
        (f"account={second.account}&situation=busy", [c3]),
        (f"account={second.account}&situation=no_binding", [c2]),
        (f"account={first.account}&situation=no_binding", []),
        (f"account={first.account}&open=false", [c1]),
        (f"account={first.account}&open=true", []),
        (f"account={first.account}&since={then}", []),
        (f"account={second.account}&until={then}", []),
        (f"account={second.account}&since={then}", [c3, c2]),
        (f"pool={first.pool}&until={then}", [c1]),
    ]
    for query, calls in rows:
        for reveal in ("", "&reveal=true"):
            told = story.get(f"/v1/calls?{query}{reveal}")
            assert [item["call_id"] for item in json.loads(told)["items"]] == calls, query
            assert (A1 in told or B1 in told) <= (c1 in calls and bool(reveal)), query
            assert (A2 in told or B2 in told) <= (c3 in calls and bool(reveal)), query
    for call, world, subs_id in ((c1, first, story.old), (c2, second, None), (c3, second, story.new)):
        shown = json.loads(story.get(f"/v1/calls/{call}"))
        assert (shown["account"], shown["pool"]) == (world.account, world.pool)
        assert shown["subs_id"] == subs_id


def test_bindings_are_listed_under_who_made_them(story):
    first, second = story.first, story.second
    rows = [
        # What is asked for, and the bindings that are shown.
        (f"account={first.account}", [story.old]),
        (f"account={second.account}", [story.new]),
        (f"pool={first.pool}", [story.old]),
        (f"pool={second.pool}", [story.new]),
        (f"x={story.x}", [story.new, story.old]),
        (f"account={first.account}&x={story.x}", [story.old]),
        (f"account={second.account}&x={story.x}", [story.new]),
        (f"account={first.account}&pool={second.pool}", []),
        (f"account={second.account}&pool={first.pool}", []),
        (f"account={first.account}&state=live,over", []),
        (f"account={second.account}&state=ended", []),
        (f"account={first.account}&party={A1}", [story.old]),
        (f"account={second.account}&party={A1}", []),
        (f"account={first.account}&party={A2}", []),
        (f"account={second.account}&party={B2}", [story.new]),
        (f"account={second.account}&before={story.new}", []),
        (f"account={first.account}&before={story.new}", [story.old]),
    ]
    for query, ids in rows:
        for reveal in ("", "&reveal=true"):
            told = story.get(f"/v1/bindings?{query}{reveal}")
            assert [item["subs_id"] for item in json.loads(told)["items"]] == ids, query
            assert (A1 in told or B1 in told) <= (story.old in ids and bool(reveal)), query
            assert (A2 in told or B2 in told) <= (story.new in ids and bool(reveal)), query
    for subs_id, world in ((story.old, first), (story.new, second)):
        shown = json.loads(story.get(f"/v1/bindings/{subs_id}"))
        assert (shown["account"], shown["pool"]) == (world.account, world.pool)


def test_numbers_are_listed_under_who_has_them(story):
    rows = [
        (f"account={story.first.account}", []),
        (f"pool={story.first.pool}", []),
        (f"account={story.second.account}", 2),
        (f"pool={story.second.pool}", 2),
    ]
    for query, expected in rows:
        told = story.get(f"/v1/numbers?{query}&reveal=true")
        listed = [item["x"] for item in json.loads(told)["items"]]
        assert len(listed) == (expected or 0) and (story.x in listed) == bool(expected), query
    told = story.get(f"/v1/numbers/{story.x}?reveal=true")
    assert story.new in told and story.old not in told
    assert A1 not in told and B1 not in told


def test_an_explanation_is_by_the_bindings_of_its_moment(story):
    n = "13700000000"
    rows = [
        # When, who dials, the callee, whose binding it is, and which.
        (story.under_first, n, A1, story.first, story.old),
        (story.under_first, A1, B1, story.first, story.old),
        (story.under_first, A2, A1, story.first, story.old),
        (story.between, n, None, None, None),
        (story.between, A1, None, None, None),
        (story.between, A2, None, None, None),
        (None, n, A2, story.second, story.new),
        (None, A2, B2, story.second, story.new),
        (None, A1, A2, story.second, story.new),
        (None, "-", A2, story.second, story.new),
    ]
    for at, caller, callee, world, subs_id in rows:
        asked = f"/v1/explain?caller={caller}&x={story.x}" + (f"&at={quote(at)}" if at else "")
        row = f"{caller} at {at}"
        masked = story.get(asked)
        assert not any(party in masked for party in (A1, B1, A2, B2)), row
        told = story.get(f"{asked}&reveal=true")
        route = json.loads(told)["route"]
        assert (route.get("callee"), route.get("subs_id")) == (callee, subs_id), row
        assert route.get("pool") == (world and world.pool), row
        for other in {A1, B1, A2, B2} - {caller, callee}:
            assert other not in told, row
        for other in {story.old, story.new} - {subs_id}:
            assert other not in told, row


# Users of one of two pools


class TwoPools:
    """An account with an X that went from one pool to the other, and one that stays in the first."""

    def __init__(self, operator):
        self.operator = operator
        self.world = operator.world({"北京": 2}, legacy_type="AXN_170")
        self.mine = f"{self.world.pool}5"
        operator.pool(self.mine, self.world.account, product="axn", legacy_type="AXN_171")
        self.moved, self.kept = self.world.numbers["北京"]
        api = self.world.gateway()
        self.old, _ = bound(api.bind_axn(A1, PhoneNoB=B1, PhoneNoX=self.moved, OutOrderId="order"))
        self.live, _ = bound(api.bind_axn(A1, PhoneNoB=B1, PhoneNoX=self.kept))
        assert api.unbind(self.old, self.moved).code == "OK"
        move(operator, self.moved, self.mine)
        self.own, _ = bound(api.with_pool(self.mine).bind_axn(A2, PhoneNoX=self.moved))

    def gateway(self, allow, deny=()):
        """The API as a user with these statements sees it, who says what pool is meant."""
        user = self.operator.user(self.world.account, allow=allow, deny=deny)
        return self.world.gateway(self.operator.key(self.world.account, user)).with_pool(None)

    def rows(self):
        """What is asked, and what is answered to who may look at the second pool alone."""
        mine, theirs = {"PoolKey": self.mine}, {"PoolKey": self.world.pool}
        old = {"SubsId": self.old, "PhoneNoX": self.moved, "SecretNo": self.moved}
        live = {"SubsId": self.live, "PhoneNoX": self.kept, "SecretNo": self.kept}
        own = {"SubsId": self.own, "PhoneNoX": self.moved, "SecretNo": self.moved}
        bind = {"PhoneNoA": "13600000009", "Expiration": expiration()}
        expire = {"OperateType": "updateExpire", "Expiration": expiration(90_000)}
        party = {"OperateType": "updateNoB", "PhoneNoB": "13811112222"}
        detail, unbind, update = "QuerySubscriptionDetail", "UnbindSubscription", "UpdateSubscription"
        first_type, second_type = "AXN_170", "AXN_171"
        return [
            # By its own pool.
            (detail, {**own, **mine}, "OK"),
            (detail, {**old, **mine}, GONE),
            (detail, {**live, **mine}, GONE),
            (detail, {**old, "ProductType": second_type}, GONE),
            (unbind, {**old, **mine}, GONE),
            (unbind, {**live, **mine}, GONE),
            (unbind, {**live, "ProductType": second_type}, GONE),
            (update, {**old, **mine, **expire}, GONE),
            (update, {**live, **mine, **expire}, GONE),
            (update, {**live, **mine, **party}, GONE),
            (update, {**live, "ProductType": second_type, **party}, GONE),
            ("QuerySubsId", {"PhoneNoX": self.moved, **mine}, "OK"),
            ("QuerySubsId", {"PhoneNoX": self.kept, **mine}, NOWHERE),
            ("QuerySecretNoDetail", {"SecretNo": self.kept, **mine}, NOWHERE),
            ("LockSecretNo", {"SecretNo": self.kept, **mine}, NOWHERE),
            ("UnlockSecretNo", {"SecretNo": self.kept, **mine}, NOWHERE),
            # That it is a number of the account's, if not in which pool, is told to who would bind it.
            ("BindAxn", {**bind, **mine, "PhoneNoX": self.kept}, "isv.FORBIDDEN_ACTION"),
            # By the other one, however it is named.
            (detail, {**old, **theirs}, DENIED),
            (detail, {**live, **theirs}, DENIED),
            (detail, {**live, "ProductType": first_type}, DENIED),
            (detail, {**live, "PoolKey": "", "ProductType": first_type}, DENIED),
            (unbind, {**live, **theirs}, DENIED),
            (unbind, {**live, "ProductType": first_type}, DENIED),
            (update, {**live, **theirs, **expire}, DENIED),
            (update, {**live, "ProductType": first_type, **expire}, DENIED),
            (update, {**old, "ProductType": first_type, **party}, DENIED),
            ("BindAxn", {**bind, **theirs}, DENIED),
            ("BindAxn", {**bind, "NoType": first_type}, DENIED),
            ("BindAxn", {**bind, "NoType": first_type, "PoolKey": ""}, DENIED),
            ("BindAxb", {**bind, "PhoneNoB": B2, "NoType": first_type}, DENIED),
            ("QuerySubsId", {"PhoneNoX": self.kept, **theirs}, DENIED),
            ("QuerySubsId", {"PhoneNoX": self.kept}, DENIED),
            ("QuerySubsId", {"PhoneNoX": self.kept, "PoolKey": ""}, DENIED),
            ("QuerySecretNoDetail", {"SecretNo": self.kept, **theirs}, DENIED),
            ("LockSecretNo", {"SecretNo": self.kept, **theirs}, DENIED),
            # A key wins over a type, in either direction.
            (detail, {**live, **theirs, "ProductType": second_type}, DENIED),
            (detail, {**live, **mine, "ProductType": first_type}, GONE),
            ("BindAxn", {**bind, **theirs, "NoType": second_type}, DENIED),
            # And its own, without its key.
            ("QuerySubsId", {"PhoneNoX": self.moved}, "OK"),
            (detail, {**own, "ProductType": second_type}, "OK"),
            # Last, since it is in the way of nothing then.
            (unbind, {**own, "ProductType": second_type}, "OK"),
            ("BindAxn", {**bind, "NoType": second_type}, "OK"),
        ]


STATEMENTS = [
    # What is allowed, and what is denied; {0} is the pool that may be looked at, {1} the other.
    ([("dypls:*", "{0}")], []),
    ([("*", "*")], [("*", "{1}")]),
    ([("dypls:*", "*")], [("dypls:*", "{1}")]),
]


@pytest.mark.parametrize(("allow", "deny"), STATEMENTS, ids=["allowed one", "denied one", "denied its actions"])
def test_a_user_of_one_pool_has_nothing_of_the_other(exchange, allow, deny):
    pools = TwoPools(exchange.operator)

    def named(statements):
        return [(action, pool.format(pools.mine, pools.world.pool)) for action, pool in statements]

    api = pools.gateway(named(allow), named(deny))
    wrong = []
    for action, params, code in pools.rows():
        answer = api.call(action, **params)
        if answer.code != code:
            wrong.append(f"{params} {code}: {answer}")
        told = answer.body.decode()
        assert A1 not in told and B1 not in told, str(answer)
        assert pools.live not in told and (pools.old not in told or code == DENIED), str(answer)
    assert not wrong, "\n".join(wrong)
    # Nothing of it changed anything.
    detail = pools.world.gateway().detail(pools.live, pools.kept)
    assert detail.data["SecretBindDetailDTO"]["PhoneNoB"] == B1


def test_a_type_that_names_no_pool_of_the_account_opens_none(exchange):
    pools = TwoPools(exchange.operator)
    foreign = TwoPools(exchange.operator)
    api = pools.gateway([("*", "*")], [("*", pools.world.pool)])
    live = {"SubsId": pools.live, "PhoneNoX": pools.kept, "SecretNo": pools.kept}
    theirs = {"SubsId": foreign.live, "PhoneNoX": foreign.kept, "SecretNo": foreign.kept}
    bind = {"PhoneNoA": "13600000009", "Expiration": expiration()}
    for what in ("AXN_199", "axn_170", "AXN_170 ", "AXN", pools.world.pool, "*", "AXN_170,AXN_171"):
        for action, params in (
            ("QuerySubscriptionDetail", {**live, "ProductType": what}),
            ("UnbindSubscription", {**live, "ProductType": what}),
            ("BindAxn", {**bind, "NoType": what}),
        ):
            answer = api.call(action, **params)
            assert answer.code not in ("OK", None), f"{what}: {answer}"
            assert A1 not in answer.body.decode()
    for key in (pools.world.pool.lower(), f"{pools.world.pool} ", f" {pools.world.pool}", "*", "FC*"):
        answer = api.call("QuerySubscriptionDetail", **live, PoolKey=key)
        assert answer.code not in ("OK", None), f"{key!r}: {answer}"
        assert A1 not in answer.body.decode()
    # The same type of another account is its own.
    for name in ("AXN_170", "AXN_171"):
        answer = api.call("QuerySubscriptionDetail", **theirs, ProductType=name)
        assert answer.code in (GONE, DENIED), str(answer)
    assert pools.world.gateway().detail(pools.live, pools.kept).code == "OK"
