"""All that the commands tell of a data directory and that stays true while nothing is changed."""

import json

LISTS = {
    "accounts": ("account", "ls"),
    "users": ("user", "ls"),
    "keys": ("key", "ls"),
    "pools": ("pool", "ls"),
    "trunks": ("trunk", "ls"),
    "numbers": ("number", "ls", "--limit", "10000"),
    "bindings": ("binding", "ls", "--limit", "10000"),
    "ended bindings": ("binding", "ls", "--ended", "--limit", "10000"),
    "calls": ("call", "ls", "--limit", "10000"),
}


def told_of(service):
    told = {name: json.loads(service.cli(*words, "--json", "--reveal").stdout) for name, words in LISTS.items()}
    told["every binding"] = [
        json.loads(service.cli("binding", "show", one["subs_id"], "--json", "--reveal").stdout)
        for one in told["bindings"]["items"]
    ]
    return told


# What older programs did not know of, as it is told of what they made.
NEW = {"provision": None, "carrier_answer": None, "carrier": None, "presents": [], "routes": []}


def _without_new(told):
    if isinstance(told, list):
        return [_without_new(one) for one in told]
    if not isinstance(told, dict):
        return told
    known = {name: value for name, value in told.items() if name not in NEW or value != NEW[name]}
    return {name: _without_new(value) for name, value in known.items()}


def comparable(told):
    """Without what older programs did not say: members that are new, an order of numbers and of bindings in force, where
    a list goes on.
    And without what passes: the year for which a number rests."""
    told = _without_new(told)
    told["numbers"]["items"].sort(key=lambda number: number["x"])
    for bindings in (told["bindings"]["items"], told["every binding"]):
        bindings.sort(key=lambda binding: binding["subs_id"])
    for name in ("numbers", "bindings", "ended bindings", "calls"):
        assert told[name].pop("next", None) is None, f"{name} were told whole"
    for number in told["numbers"]["items"]:
        if number["status"] == "frozen":
            number["status"] = "free"
    return told
