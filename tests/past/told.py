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


def comparable(told):
    """Without what older programs did not say: an order of numbers and of bindings in force, where a list goes on.
    And without what passes: the year for which a number rests."""
    told["numbers"]["items"].sort(key=lambda number: number["x"])
    for bindings in (told["bindings"]["items"], told["every binding"]):
        bindings.sort(key=lambda binding: binding["subs_id"])
    for name in ("numbers", "bindings", "ended bindings", "calls"):
        assert told[name].pop("next", None) is None, f"{name} were told whole"
    for number in told["numbers"]["items"]:
        if number["status"] == "frozen":
            number["status"] = "free"
    return told
