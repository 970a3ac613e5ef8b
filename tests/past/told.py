"""All that the commands tell of a data directory and that stays true while nothing is changed."""

import hashlib
import json

from support.admin import admin

LISTS = {
    "accounts": ("account", "ls"),
    "users": ("user", "ls"),
    "keys": ("key", "ls"),
    "carriers": ("carrier", "ls"),
    "pools": ("pool", "ls"),
    "trunks": ("trunk", "ls"),
    "numbers": ("number", "ls", "--limit", "10000"),
    "bindings": ("binding", "ls", "--limit", "10000"),
    "ended bindings": ("binding", "ls", "--ended", "--limit", "10000"),
    "calls": ("call", "ls", "--limit", "10000"),
    "audit": ("audit", "--limit", "10000"),
}


def told_of(service):
    def asked(*words):
        return json.loads(service.cli(*words, "--json", "--reveal").stdout)

    told = {name: asked(*words) for name, words in LISTS.items()}
    for name, ids in (("every binding", told["bindings"]), ("every ended binding", told["ended bindings"])):
        told[name] = [asked("binding", "show", one["subs_id"]) for one in ids["items"]]
    told["every call"] = [asked("call", "show", one["call_id"]) for one in told["calls"]["items"]]
    told["recordings"] = {
        one["recording"]: hashlib.sha256((service.data / "recordings" / one["recording"]).read_bytes()).hexdigest()
        for one in told["every call"]
        if one["recording"]
    }
    told["imports"] = json.loads(admin(service, "/v1/imports")[1])
    return told


# What older programs did not know of, as it is told of what they made.
NEW = {"provision": None, "remark": None, "carrier": None, "presents": [], "routes": []}
# What a process knows by itself, and forgets when it ends.
PASSING = {"carrier_answer", "breaker", "waiting", "owed", "under_way", "reconciled_at", "note"}


def _without_new(told):
    if isinstance(told, list):
        return [_without_new(one) for one in told]
    if not isinstance(told, dict):
        return told
    known = {
        name: value
        for name, value in told.items()
        if name not in PASSING and (name not in NEW or value != NEW[name])
    }
    return {name: _without_new(value) for name, value in known.items()}


def comparable(told, then=None):
    """Without what older programs did not say: members that are new, an order of numbers and of bindings in force,
    where a list goes on; and where an older program told `then`, without kinds of things that it did not tell of and
    without what was done since.
    And without what passes: the year for which a number rests, a request for whose answer a customer waited."""
    then = then or told
    told = {name: value for name, value in told.items() if name in then and name != "canaries"}
    told = _without_asked(_without_new(told), then["every binding"])
    told["numbers"]["items"].sort(key=lambda number: number["x"])
    for bindings in (told["bindings"]["items"], told["every binding"]):
        bindings.sort(key=lambda binding: binding["subs_id"])
    for name in ("numbers", "bindings", "ended bindings", "calls", "audit", "imports"):
        assert told.get(name, {}).pop("next", None) is None, f"{name} were told whole"
    for number in told["numbers"]["items"]:
        if number["status"] == "frozen":
            number["status"] = "free"
    if "audit" in told:
        # The newest comes first, and telling is itself written down.
        told["audit"]["items"] = told["audit"]["items"][-len(then["audit"]["items"]) :]
    return told


def _without_asked(told, then):
    """A start gives up what a carrier was asked: what was reserved is on its way out, what was to be changed is told
    again as it stands."""
    asked = {one["subs_id"]: one["provision"]["phase"] for one in then if one.get("provision")}
    for place in (told["bindings"], told["ended bindings"]):
        place["items"] = [one for one in place["items"] if asked.get(one["subs_id"]) != "reserved"]
    for name in ("every binding", "every ended binding"):
        if name in told:
            told[name] = [one for one in told[name] if asked.get(one["subs_id"]) != "reserved"]
    for one in told["every binding"]:
        if asked.get(one["subs_id"]) == "changing":
            one["provision"] = {"carrier": one["provision"]["carrier"]}
    return told
