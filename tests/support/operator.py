"""What an operator does beside a running service, by the `maskline` commands alone.

A world is a small installation of its own within the service: an account with a key, one pool, some
numbers. Its names are new every time, so worlds share a service without meeting.
"""

import itertools
import json
import threading
from dataclasses import dataclass, field, replace

from support.gateway import Gateway

_running = itertools.count(1)
_lock = threading.Lock()


def new_index():
    """A number that no other world of this service has."""
    with _lock:
        return next(_running)


@dataclass(frozen=True)
class Key:
    id: str
    secret: str


class Operator:
    def __init__(self, service):
        self.service = service

    # Documents

    def apply(self, document, *flags):
        """`maskline apply` of a document given as text."""
        place = self.service.data.with_name(f"apply-{new_index()}.toml")
        place.write_text(document, encoding="utf-8")
        return self.service.cli("apply", place, *flags)

    def account(self, name, **changes):
        self.apply(_table("account", id=name, **changes))

    def pool(self, key, account, **changes):
        self.apply(_table("pool", key=key, account=account, **changes))

    def carrier(self, name, simulated, **changes):
        """A carrier that is told of bindings; `simulated` has its url and secret."""
        told = {"kind": "http", "url": simulated.url, "secret": simulated.secret, **changes}
        self.apply(_table("carrier", name=name, **told))

    def numbers(self, pool, city, numbers):
        self.apply(_table("numbers", pool=pool, city=city, list=numbers))

    def user(self, account, allow=(), deny=()):
        """A new user with these (action, pool) patterns; its name."""
        name = f"user-{new_index()}"
        text = _table("user", account=account, name=name)
        for effect, patterns in (("allow", allow), ("deny", deny)):
            for action, pool in patterns:
                text += _table("user.statement", effect=effect, actions=[action], pools=[pool])
        self.apply(text)
        return name

    # Keys

    def key(self, account, user=None):
        """A new key, made and shown once by the service."""
        of_user = [] if user is None else ["--user", user]
        made = self.service.cli("key", "create", "--account", account, *of_user, "--json")
        made = json.loads(made.stdout)
        return Key(made["access_key_id"], made["access_key_secret"])

    def disable_key(self, key):
        self.service.cli("key", "disable", key.id)

    def enable_key(self, key):
        self.service.cli("key", "enable", key.id)

    def delete_key(self, key):
        self.service.cli("key", "delete", key.id)

    # Looking

    def binding(self, subs_id):
        return json.loads(self.service.cli("binding", "show", subs_id, "--json", "--reveal").stdout)

    def explain(self, caller, x):
        """What a call would do, as fields: connect, callee, situation."""
        told = self.service.cli("explain", caller, x, "--json", "--reveal")
        return json.loads(told.stdout)["route"]

    # Worlds

    def world(self, numbers, product="AXN", requests_per_s_max=None, **pool):
        """An account with a key and one pool; `numbers` says how many X of each city."""
        index = new_index()
        account, key = f"customer-{index}", f"FC{700_000 + index}"
        digits = (f"171{index:04}{place:04}" for place in itertools.count())
        stock = {city: [next(digits) for _ in range(count)] for city, count in numbers.items()}
        text = _table(
            "account", id=account, real_name_verified=True, requests_per_s_max=requests_per_s_max
        )
        text += _table("pool", key=key, account=account, product=product.lower(), **pool)
        for city, listed in stock.items():
            text += _table("numbers", pool=key, city=city, list=listed)
        self.apply(text)
        return World(self, account, key, stock, self.key(account))


@dataclass
class World:
    operator: Operator
    account: str
    pool: str
    numbers: dict
    first_key: Key = field(repr=False)

    def gateway(self, key=None):
        """The customer API as the owner of this key, or of the world's first one, sees it."""
        key = key or self.first_key
        service = self.operator.service
        return Gateway(f"http://{service.ready['api']}", key.id, key.secret, self.pool)

    def moved_to(self, service):
        """The same account and pool, served by another process from a copy of the data."""
        return replace(self, operator=Operator(service))

    def bindings(self):
        return self._all("binding")

    def inventory(self):
        """All there is in this world, as the operator sees it: equal before and after a refusal."""
        return {"numbers": self._all("number"), "bindings": self.bindings()}

    def _all(self, noun):
        listed = self.operator.service.cli(
            noun, "ls", "--pool", self.pool, "--limit", "10000", "--json"
        )
        answer = json.loads(listed.stdout)
        assert answer["more"] is False
        return answer["items"]


def _table(kind, /, **members):
    """One entry of a document; members that are None are left out."""
    lines = [f"{key} = {_value(value)}" for key, value in members.items() if value is not None]
    return "\n".join([f"[[{kind}]]", *lines, "", ""])


def _value(value):
    # JSON's texts, numbers, booleans and lists are TOML's too.
    return json.dumps(value, ensure_ascii=False)
