"""Numbers change hands, keys and users come again under old names: nobody reads what was never theirs.

Everything goes the way it does in practice: the real binary, signed requests, and the commands of an
operator.
"""

import json

import pytest

from abuse.connections import ask
from abuse.ownership import DENIED, GONE, NOWHERE, admin, audit, move, remove_and_add
from support.gateway import bound, expiration
from support.operator import Operator
from support.process import Maskline

A, B = "13987650001", "15887650002"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    service = Maskline(tmp_path_factory.mktemp("ownership") / "data")
    yield service.start()
    service.stop()


def ended(world):
    """A binding with A and B that is over: its id and X."""
    api = world.gateway()
    subs_id, x = bound(api.bind_axn(A, PhoneNoB=B, OutId="of the first owner"))
    assert api.unbind(subs_id, x).code == "OK"
    return subs_id, x


def tells_a_party(answer):
    return A.encode() in answer.body or B.encode() in answer.body


# A1: every way by X, SubsId or name


@pytest.mark.parametrize("hand_over", [move, remove_and_add])
def test_next_owner_reads_nothing_by_any_way(service, hand_over):
    operator = Operator(service)
    first, second = operator.world(numbers={"北京": 1}), operator.world(numbers={"北京": 1})
    subs_id, x = ended(first)
    hand_over(operator, x, second.pool)
    api = second.gateway()
    named = {"SubsId": subs_id, "PhoneNoX": x, "SecretNo": x}

    ways = [
        ("QuerySubscriptionDetail", {}, GONE),
        ("UnbindSubscription", {}, GONE),
        ("UpdateSubscription", {"OperateType": "updateNoA", "PhoneNoA": "13811112222"}, GONE),
        ("UpdateSubscription", {"OperateType": "updateNoB", "PhoneNoB": "13811112222"}, GONE),
        ("UpdateSubscription", {"OperateType": "updateExpire", "Expiration": expiration()}, GONE),
        ("UpdateSubscription", {"OperateType": "updateOutId", "OutId": "mine"}, GONE),
        ("QuerySubsId", {}, "OK"),
        ("QuerySubsId", {"PoolKey": None}, "OK"),
        ("QuerySecretNoDetail", {}, "OK"),
        ("LockSecretNo", {}, "OK"),
        ("UnlockSecretNo", {}, "OK"),
    ]
    for action, more, code in ways:
        answer = api.call(action, **named, **more)
        assert answer.code == code, str(answer)
        assert not tells_a_party(answer), str(answer)
        if action == "QuerySubsId":
            assert "SubsId" not in answer.data, str(answer)

    # A binding of the new owner's on X opens no way to the old one, nor to itself for the old owner.
    own_id, own_x = bound(api.bind_axn("13600000001", PhoneNoX=x))
    assert own_x == x
    assert api.detail(subs_id, x).code == GONE
    assert first.gateway().detail(own_id, x).code == GONE
    assert first.gateway().call("QuerySubsId", PhoneNoX=x).code == NOWHERE

    # Who had it reads it still, and so does an operator.
    kept = first.gateway().detail(subs_id, x)
    assert kept.data["SecretBindDetailDTO"]["PhoneNoA"] == A, str(kept)
    shown = operator.binding(subs_id)
    assert (shown["pool"], shown["account"], shown["state"]) == (first.pool, first.account, "ended")


def test_neighbouring_ids_tell_nothing(service):
    """Ids can be guessed; whose a binding is protects it."""
    operator = Operator(service)
    first, second = operator.world(numbers={"北京": 3}), operator.world(numbers={"北京": 1})
    subs_id, x = ended(first)
    move(operator, x, second.pool)
    own_id, _ = bound(second.gateway().bind_axn("13600000001", PhoneNoX=x))

    for near in range(int(own_id) - 50, int(own_id) + 50):
        answer = second.gateway().detail(str(near), x)
        assert near == int(own_id) or answer.code == GONE, str(answer)
        assert not tells_a_party(answer)
    assert second.gateway().detail(subs_id, x).code == GONE


def test_user_of_one_pool_reads_nothing_of_another(service):
    operator = Operator(service)
    world = operator.world(numbers={"北京": 1})
    other = f"{world.pool}9"
    operator.pool(other, world.account, product="axn")
    subs_id, x = ended(world)
    move(operator, x, other)
    ram_user = operator.key(world.account, operator.user(world.account, allow=[("dypls:*", other)]))
    api = world.gateway(ram_user)

    assert api.with_pool(other).detail(subs_id, x).code == GONE
    assert api.with_pool(world.pool).detail(subs_id, x).code == DENIED
    assert world.gateway().with_pool(other).detail(subs_id, x).code == GONE
    assert world.gateway().detail(subs_id, x).code == "OK"


def test_a_key_or_a_user_that_comes_again_brings_nothing_back(service):
    operator = Operator(service)
    first, second = operator.world(numbers={"北京": 1}), operator.world(numbers={"北京": 1})
    subs_id, x = bound(first.gateway().bind_axn(A))
    operator.delete_key(first.first_key)
    text = f'[[key]]\nid = "{first.first_key.id}"\naccount = "{second.account}"\n'
    operator.apply(text + f'secret = "{first.first_key.secret}"\n')
    api = first.gateway()
    assert api.detail(subs_id, x).code == "isv.PARTNER_NOT_EXIST"
    assert api.with_pool(second.pool).detail(subs_id, x).code == GONE
    assert api.with_pool(None).call("QuerySubsId", PhoneNoX=x).code == NOWHERE

    name = operator.user(second.account, allow=[("dypls:*", "*")])
    key = operator.key(second.account, name)
    service.cli("user", "delete", f"{second.account}/{name}")
    assert second.gateway(key).bind_axn(A).code == "InvalidAccessKeyId.NotFound"
    service.cli("user", "set", f"{second.account}/{name}", "--allow", "dypls:Query*")
    assert second.gateway(key).bind_axn(A).code == "InvalidAccessKeyId.NotFound"


def test_operators_see_each_binding_under_its_owner(service):
    operator = Operator(service)
    first, second = operator.world(numbers={"北京": 1}), operator.world(numbers={"北京": 1})
    subs_id, x = ended(first)
    move(operator, x, second.pool)
    live, _ = bound(second.gateway().bind_axn("13600000001", PhoneNoX=x))

    def listed(*filters):
        told = service.cli("binding", "ls", *filters, "--json").stdout
        return [item["subs_id"] for item in json.loads(told)["items"]]

    assert listed("--account", first.account, "--ended") == [subs_id]
    assert listed("--pool", first.pool, "--ended") == [subs_id]
    assert listed("--account", first.account) == []
    assert listed("--account", second.account) == [live]
    assert listed("--account", second.account, "--ended") == []
    assert listed("--x", x, "--ended") == [subs_id]


# A2: a deny is not bypassed by leaving PoolKey out


def test_denied_pool_is_denied_without_its_key(service):
    operator = Operator(service)
    world = operator.world(numbers={"北京": 2})
    other = f"{world.pool}8"
    operator.pool(other, world.account, product="axn")
    x = world.numbers["北京"][1]
    user = operator.user(world.account, allow=[("*", "*")], deny=[("dypls:*", other)])
    api = world.gateway(operator.key(world.account, user))
    _, in_world = bound(world.gateway().bind_axn(A, PhoneNoX=world.numbers["北京"][0]))
    move(operator, x, other)

    for named in ({"PoolKey": other}, {"PoolKey": None}, {"PoolKey": ""}):
        assert api.call("QuerySubsId", PhoneNoX=x, **named).code == DENIED, named
    for named in ({}, {"PoolKey": None}):
        assert api.call("QuerySubsId", PhoneNoX=in_world, **named).code == "OK", named


# A5: what is written down


def test_looks_and_wrong_tokens_leave_their_traces(service):
    operator = Operator(service)
    world = operator.world(numbers={"北京": 2})
    somebody = "13755550009"
    _, x = bound(world.gateway().bind_axn(somebody))
    service.cli("binding", "ls", "--pool", world.pool, "--reveal")
    service.cli("binding", "ls", "--party", somebody)
    service.cli("explain", B, x)
    for _ in range(500):
        assert admin(service, "/v1/keys", token="guessed")[0] == 401

    lines = audit(service)
    facts = {line["deed"]: line["facts"] for line in reversed(lines)}
    assert f"pool={world.pool}" in facts["revealed"] and '"rows":1' in facts["revealed"]
    assert '"rows":1' in next(
        line["facts"] for line in lines if "party=137******09" in line["facts"]
    ), lines
    assert f"x={x}" in facts["searched"]
    refused = [line for line in lines if line["deed"] == "token_refused"]
    assert refused and len(refused) <= 3, "bounded, however many there were"
    assert '"from":"127.0.0.1"' in refused[0]["facts"]
    told = json.dumps(lines) + service.log_path.read_text()
    assert somebody not in told and A not in told and B not in told
    assert "right token" in service.log_path.read_text()


def test_wrong_tokens_of_many_addresses_leave_a_bounded_trace(tmp_path):
    service = Maskline(tmp_path / "data").start()
    try:
        addresses = [f"127.0.2.{host}" for host in range(1, 121)]
        for source in addresses * 3:
            headers = {"Authorization": "Bearer guessed"}
            assert ask(service.ready["admin"], "/v1/keys", source, headers)[0] == 401
        lines = [json.loads(line["facts"]) for line in audit(service) if line["deed"] == "token_refused"]
        told = [line["from"] for line in lines]
        assert told.count("other addresses") == 1 and len(told) == 33, told
        assert set(told) - {"other addresses"} < set(addresses)
        assert service.log_path.read_text().count("without the right token were refused") == len(told)
    finally:
        service.stop()


def test_free_texts_are_masked_like_numbers(service):
    operator = Operator(service)
    world = operator.world(numbers={"北京": 2})
    texts = {
        "OutId": "canary-out-id",
        "OutOrderId": "canary-order-id",
        "Extend": "canary-extend",
        "ASRModelId": "canary-model",
        "RingConfig": '{"AXNRing_N":"canary-ring"}',
    }
    subs_id, x = bound(world.gateway().bind_axn(A, **texts))
    journal = ("journal", "show", "--limit", "200")
    for command in (journal, ("binding", "show", subs_id), ("binding", "ls"), ("audit",)):
        shown = service.cli(*command).stdout
        assert "canary" not in shown, command
    assert "canary" not in service.log_path.read_text()
    revealed = service.cli(*journal, "--reveal").stdout
    for text in ("out-id", "order-id", "extend", "model", "ring"):
        assert f"canary-{text}" in revealed, text
    assert world.gateway().unbind(subs_id, x).code == "OK"
    assert "canary" not in service.cli("binding", "show", subs_id).stdout


def test_statements_that_cannot_be_are_refused_or_warned_of(service, tmp_path):
    operator = Operator(service)
    world, foreign = operator.world(numbers={"北京": 1}), operator.world(numbers={"北京": 1})
    user = f"{world.account}/reports"

    def said(*args):
        done = service.cli("user", "set", user, *args, check=False)
        return done.returncode, done.stderr

    for wrong, told in [
        ("dypls:UnbindSubscripton", "did you mean dypls:UnbindSubscription?"),
        ("UnbindSubscription", "did you mean dypls:UnbindSubscription?"),
        ("dypls:bindaxn", "did you mean dypls:BindAxn?"),
        ("DYPLS:BindAxn", "did you mean dypls:BindAxn?"),
        ("dyplsapi:BindAxn", "did you mean dypls:BindAxn?"),
        ("dypls:Qeury*", "did you mean dypls:Query*?"),
        ("dypls:*Axn", "no action is called"),
        ("ecs:*", "no action is called"),
        ("", "no action is called"),
        ("*@12345", "can be no PoolKey"),
        ("*@", "can be no PoolKey"),
        (f"*@{world.pool},", "can be no PoolKey"),
        ("*@AXN_170", "can be no PoolKey"),
        ("*@*1", "can be no PoolKey"),
    ]:
        for effects in (("--allow", "*", "--deny", wrong), ("--allow", wrong)):
            code, error = said(*effects)
            assert code != 0 and told in error, (effects, error)
    assert world.account not in service.cli("user", "ls").stdout, "nothing of it was done"

    file = tmp_path / "wrong.toml"
    file.write_text(
        f'[[user]]\naccount = "{world.account}"\nname = "reports"\n[[user.statement]]\n'
        'effect = "deny"\nactions = ["dypls:UnbindSubscripton"]\npools = ["*"]\n'
    )
    for flags in ((), ("--dry-run",)):
        done = service.cli("apply", file, *flags, check=False)
        assert done.returncode != 0 and "dypls:UnbindSubscription" in done.stderr, done.stderr
    for actions, pools in [
        (["dypls:Nothing"], ["*"]),
        (["dypls:BindAxn "], ["*"]),
        (["*", "dypls:bindaxn"], ["*"]),
        ([""], ["*"]),
        (["*"], [""]),
        (["*"], [f"{world.pool} "]),
        (["*"], [world.pool, "12345"]),
        ([], ["*"]),
        (["*"], []),
    ]:
        statement = {"effect": "deny", "actions": actions, "pools": pools}
        document = json.dumps({"account": world.account, "name": "reports", "statement": [statement]})
        status, told = admin(service, f"/v1/users/{user}", method="PUT", body=document)
        assert status == 409, (actions, pools, told)

    for pools, warned in [
        (world.pool, ""),
        (f"{world.pool}77", "does not exist"),
        (foreign.pool, "is not of account"),
        ("FC0*", "begins with FC0"),
    ]:
        code, error = said("--allow", f"dypls:Query*@{pools}")
        assert code == 0 and warned in error, (pools, error)
        assert bool(warned) == ("warning:" in error), error
