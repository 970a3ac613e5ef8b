"""The kill -9 campaign's ledger catches what it is there to catch: a service that lies is found out."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from campaigns.ledger import Ledger

A, B, C, D = "13900000001", "15800000001", "13900000002", "15800000002"
AXN = SimpleNamespace(key="FC1", kind="AXN", action="BindAxn", numbers=["17000000001"])
AXB = SimpleNamespace(key="FC2", kind="AXB", action="BindAxb", numbers=["17000000002"])


@dataclass
class Service:
    """Answers the two questions that the ledger asks, from a table of what it pretends to hold."""

    held: dict = field(default_factory=dict)

    def with_pool(self, _):
        return self

    def call(self, _action, PhoneNoX):
        ids = ",".join(i for i, (x, _, _) in self.held.items() if x == PhoneNoX)
        return SimpleNamespace(code="OK", data={"SubsId": ids})

    def detail(self, subs_id, _x):
        _, a, b = self.held[subs_id]
        dto = {"PhoneNoA": a, "PhoneNoB": b}
        return SimpleNamespace(code="OK", data={"SecretBindDetailDTO": dto})


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "log") as ledger:
        yield ledger


def bind(ledger, pool, subs_id, a=A, b=B):
    ledger.will_bind(subs_id, pool.kind, pool.key, a, b)
    ledger.did_bind(subs_id, subs_id, pool.numbers[0])
    return ledger.live[subs_id]


def counts(found):
    return found.lost, found.risen, found.invented, found.doubled


def test_what_was_acknowledged_and_is_there_is_clean(ledger):
    bind(ledger, AXN, "1")

    found = ledger.check(Service({"1": (AXN.numbers[0], A, B)}), [AXN])

    assert found.clean


def test_acknowledged_binding_that_is_gone_is_lost(ledger):
    bind(ledger, AXN, "1")

    assert counts(ledger.check(Service(), [AXN])) == (1, 0, 0, 0)


def test_acknowledged_change_that_is_gone_is_lost(ledger):
    binding = bind(ledger, AXN, "1")
    ledger.will_update(binding, D)
    ledger.did_update(binding, D)

    assert counts(ledger.check(Service({"1": (AXN.numbers[0], A, B)}), [AXN])) == (1, 0, 0, 0)


def test_acknowledged_end_that_did_not_hold_is_risen(ledger):
    binding = bind(ledger, AXN, "1")
    ledger.will_unbind(binding)
    ledger.did_unbind(binding)

    assert counts(ledger.check(Service({"1": (AXN.numbers[0], A, B)}), [AXN])) == (0, 1, 0, 0)


def test_binding_nobody_asked_for_is_invented(ledger):
    assert counts(ledger.check(Service({"1": (AXN.numbers[0], A, B)}), [AXN])) == (0, 0, 1, 0)


def test_two_bindings_on_one_axn_number_are_doubled(ledger):
    bind(ledger, AXN, "1")
    ledger.will_bind("2", "AXN", "FC1", C, D)

    service = Service({"1": (AXN.numbers[0], A, B), "2": (AXN.numbers[0], C, D)})

    assert counts(ledger.check(service, [AXN])) == (0, 0, 0, 1)


def test_two_pairs_may_share_an_axb_number_but_not_a_party(ledger):
    bind(ledger, AXB, "1", A, B)
    bind(ledger, AXB, "2", C, D)
    x = AXB.numbers[0]
    assert ledger.check(Service({"1": (x, A, B), "2": (x, C, D)}), [AXB]).clean

    bind(ledger, AXB, "3", C, B)

    assert ledger.findings.doubled == 2, "already the answer of the service shows it"


@pytest.mark.parametrize("happened", [True, False])
def test_unanswered_requests_may_have_happened_or_not(ledger, happened):
    ending = bind(ledger, AXN, "1")
    ledger.will_unbind(ending)
    changed = bind(ledger, AXB, "2")
    ledger.will_update(changed, D)
    ledger.will_bind("3", "AXB", "FC2", C, "15800000009")
    x, y = AXN.numbers[0], AXB.numbers[0]
    held = (
        {"2": (y, A, D), "3": (y, C, "15800000009")}
        if happened
        else {"1": (x, A, B), "2": (y, A, B)}
    )

    assert ledger.check(Service(held), [AXN, AXB]).clean
    assert set(ledger.live) == set(held)
