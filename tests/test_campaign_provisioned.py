"""The ledger of the campaign with a carrier catches what it is there to catch: each lie of a service or a carrier."""

from datetime import datetime, timedelta, timezone

import pytest

from campaigns.provisioned import Ledger, holding_times, utc
from support.gateway import china_time

pytestmark = pytest.mark.offline
NOW = datetime.now(timezone.utc).replace(microsecond=0)
LATER, SOON = NOW + timedelta(days=1), NOW + timedelta(seconds=30)
X = "17000000001"
TERMS = {"pool": "FC1", "product": "AXN", "a": "13900000001", "expires_at": utc(LATER)}
CHANGED = {**TERMS, "a": "13900000002"}


def row(subs_id="1", terms=TERMS, x=X, out_id="token"):
    expires_at = datetime.strptime(terms["expires_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return {
        "subs_id": subs_id, "x": x, "pool": terms["pool"], "product": terms["product"].lower(), "a": terms["a"],
        "b": terms.get("b"), "expires_at": china_time(expires_at), "out_id": out_id,
    }  # fmt: skip


def entry(n, at, did="bind", subs_id="1", terms=TERMS):
    found = {"n": n, "at_ns": at, "did": did, "x": X, "subs_id": subs_id, "revision": n, "fence": n}
    return found if did == "unbind" else {**found, "terms": terms}


def lost(n, at, *entries):
    return {"n": n, "at_ns": at, "did": "lost", "entries": list(entries)}


@pytest.fixture
def ledger():
    """Of one customer, who was told at 20 that the bind of 10 is OK."""
    ledger = Ledger()
    ledger.bound("1", X, TERMS, 10, 20)
    return ledger


def changing(ledger):
    ledger.will_change(ledger.live["1"], CHANGED)
    return ledger


def changed(ledger):
    changing(ledger).changed(ledger.live["1"], 30, 40)
    return ledger


def change_failed(ledger):
    changing(ledger).change_failed(ledger.live["1"])
    return ledger


def ending(ledger):
    ledger.will_end(ledger.live["1"])
    return ledger


def ended(ledger):
    ending(ledger).did_end(ledger.live["1"])
    return ledger


def failed(ledger):
    ledger.bind_failed("another", "isp.VENDOR_UNAVAILABLE")
    return ledger


def unanswered(ledger):
    ledger.bind_failed("another", None)
    return ledger


def as_it_is(ledger):
    return ledger


OVER = {**TERMS, "expires_at": utc(NOW - timedelta(seconds=5))}
# What happened, what is bound then, what is found.
BOUND_HERE = [
    (as_it_is, [row()], {}),
    (as_it_is, [], {"lost": 1}),
    (as_it_is, [row(terms=CHANGED)], {"wrong terms": 1}),
    (as_it_is, [row(terms={**TERMS, "b": "13900000009"})], {"wrong terms": 1}),
    (as_it_is, [row(terms={**TERMS, "expires_at": utc(SOON)})], {"wrong terms": 1}),
    (as_it_is, [row(), row("2", out_id="nobody's")], {"bound after an error": 1, "doubled": 1}),
    (as_it_is, [row(), row("2", OVER, out_id="nobody's")], {}),
    (changing, [row()], {}),
    (changing, [row(terms=CHANGED)], {}),
    (changing, [], {"lost": 1}),
    (changed, [row()], {"wrong terms": 1}),
    (changed, [row(terms=CHANGED)], {}),
    (change_failed, [row()], {}),
    (change_failed, [row(terms=CHANGED)], {"wrong terms": 1}),
    (ending, [row()], {}),
    (ending, [], {}),
    (ended, [], {}),
    (ended, [row()], {"risen": 1}),
    (failed, [row()], {}),
    (failed, [row(), row("2", x="17000000002", out_id="another")], {"bound after an error": 1}),
    (unanswered, [row()], {}),
    (unanswered, [row(), row("2", x="17000000002", out_id="another")], {}),
]


@pytest.mark.parametrize("place", range(len(BOUND_HERE)))
def test_what_is_bound_is_compared_with_what_customers_were_told(ledger, place):
    happened, rows, found = BOUND_HERE[place]
    assert dict(happened(ledger).compare(rows, NOW).counts) == found


def test_pairs_share_an_x_but_no_party(ledger):
    ended(ledger)
    pair = {**TERMS, "product": "AXB", "b": "13900000003"}
    other = {**pair, "a": "13900000004", "b": "13900000005"}
    crossing = {**pair, "a": "13900000003", "b": "13900000006"}
    for token in ("one", "two"):
        ledger.bind_failed(token, None)
    apart = [row("2", pair, out_id="one"), row("3", other, out_id="two")]
    assert ledger.compare(apart, NOW).clean
    together = [row("2", pair, out_id="one"), row("3", crossing, out_id="two")]
    assert dict(ledger.compare(together, NOW).counts) == {"doubled": 1}


def test_a_binding_that_has_ended_by_itself_is_not_lost():
    ledger = Ledger()
    ledger.bound("1", X, OVER, 10, 20)
    assert ledger.compare([], NOW).clean


HELD_THERE = [
    ([row()], {(X, "1"): {"terms": TERMS}}, {}),
    ([row()], {}, {"not held": 1}),
    ([row()], {(X, "1"): {"terms": CHANGED}}, {"held otherwise": 1}),
    ([], {(X, "1"): {"terms": TERMS}}, {"held without a binding": 1}),
    ([row(terms=OVER)], {}, {}),
    ([row(terms=OVER)], {(X, "1"): {"terms": OVER}}, {"held without a binding": 1}),
    ([row()], {(X, "2"): {"terms": TERMS}}, {"not held": 1, "held without a binding": 1}),
]


@pytest.mark.parametrize("place", range(len(HELD_THERE)))
def test_what_is_held_is_compared_with_what_is_bound(ledger, place):
    rows, theirs, found = HELD_THERE[place]
    assert dict(ledger.compare_with_carrier(rows, theirs, NOW).counts) == found


HISTORIES = {
    "held while it was asked for": ([entry(1, 15)], True),
    "held before and still": ([entry(1, 5)], True),
    "held only afterwards": ([entry(1, 21)], False),
    "never held": ([], False),
    "another binding": ([entry(1, 15, subs_id="2")], False),
    "other terms": ([entry(1, 15, terms=CHANGED)], False),
    "other terms, and then these": ([entry(1, 12, terms=CHANGED), entry(2, 15, "update")], True),
    "these, and other terms before it was asked": ([entry(1, 5), entry(2, 9, "update", terms=CHANGED)], False),
    "ended before it was asked": ([entry(1, 5), entry(2, 9, "unbind")], False),
    "ended while it was asked": ([entry(1, 12), entry(2, 15, "unbind")], True),
    "lost before it was asked": ([entry(1, 5), lost(2, 9, 1)], False),
    "lost while it was asked": ([entry(1, 12), lost(2, 15, 1)], True),
    "lost and held again": ([entry(1, 5), lost(2, 9, 1), entry(3, 15)], True),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_an_ok_was_true_when_it_was_given(ledger, name):
    entries, is_true = HISTORIES[name]
    found = ledger.compare_with_history(entries)
    assert dict(found.counts) == ({} if is_true else {"OK without a carrier": 1})


def test_an_ok_of_a_change_needs_the_changed_terms(ledger):
    changed(ledger)
    assert dict(ledger.compare_with_history([entry(1, 15)]).counts) == {"OK without a carrier": 1}
    assert changed_anew().compare_with_history([entry(1, 15), entry(2, 35, "update", terms=CHANGED)]).clean


def changed_anew():
    ledger = Ledger()
    ledger.bound("1", X, TERMS, 10, 20)
    return changed(ledger)


def test_what_was_sent_against_the_protocol_is_found(ledger):
    entries = [entry(1, 15), {"n": 2, "at_ns": 16, "did": "violation", "text": "two at a time"}]
    assert dict(ledger.compare_with_history(entries).counts) == {"against the protocol": 1}


PAIR = {**TERMS, "product": "AXB", "b": "13900000003"}
APART = {**PAIR, "a": "13900000004", "b": "13900000005"}
CROSSING = {**PAIR, "a": "13900000003", "b": "13900000006"}
DOUBLED = {
    "one behind the other": ([entry(1, 1), entry(2, 2, "unbind"), entry(3, 3, subs_id="2")], 0),
    "one beside the other": ([entry(1, 1), entry(2, 2, subs_id="2"), entry(3, 3, "unbind")], 1),
    "the same once more": ([entry(1, 1), entry(2, 2, "update", terms=CHANGED), entry(3, 3)], 0),
    "pairs apart": ([entry(1, 1, terms=PAIR), entry(2, 2, subs_id="2", terms=APART)], 0),
    "pairs that cross": ([entry(1, 1, terms=PAIR), entry(2, 2, subs_id="2", terms=CROSSING)], 1),
    "pairs that come to cross": (
        [entry(1, 1, terms=PAIR), entry(2, 2, subs_id="2", terms=APART), entry(3, 3, "update", "2", CROSSING)],
        1,
    ),
    "a late end, after newer fences were lost": (
        [entry(1, 1, terms=PAIR), entry(3, 3, subs_id="2", terms=APART), lost(4, 4, 3), entry(2, 5, "unbind"),
         entry(6, 6, subs_id="3", terms=PAIR)],
        0,
    ),
    "a late one, after newer fences were lost": (
        [entry(2, 2, "unbind"), lost(3, 3, 2), entry(4, 4, subs_id="2"), entry(1, 5)],
        0,
    ),
}


@pytest.mark.parametrize("name", DOUBLED)
def test_slots_that_were_given_away_too_early_are_found_in_a_history(name):
    entries, count = DOUBLED[name]
    assert dict(Ledger().compare_with_history(entries).counts) == ({"doubled at the carrier": count} if count else {})


def test_holding_times_end_with_a_loss_or_the_next_change():
    entries = [entry(1, 10), entry(2, 20, "update", terms=CHANGED), lost(3, 30, 2), entry(4, 40, "unbind")]
    assert [span[:2] for span in holding_times(entries)[X, "1"]] == [(10, 20), (20, 30)]
