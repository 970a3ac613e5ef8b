"""The page of the carrier protocol: its adapter is one, its requests and answers are such, in both languages."""

import json

import pytest

from carriers import adapters, protocol
from support.pages import blocks

pytestmark = pytest.mark.offline
CHINESE = "docs/carrier-protocol.zh-CN.md"


def test_the_adapter_of_the_page_keeps_every_rule_also_when_it_is_killed_in_between(tmp_path, place):
    adapter = place(adapters.of_page(tmp_path)).start()
    for _ in range(2):
        code, told = adapter.check()
        assert code == 0 and not adapters.failed_rules(told), told
        adapter.kill()
        adapter.start()


# The mistakes that the page warns of, planted in its adapter: what is there, what stands in its place, and words of the
# rule that does not hold then.
MISTAKES = {
    "a fence is dropped with the binding": (
        'book.execute("DELETE FROM held WHERE x = ? AND subs_id = ?", (x, subs_id))',
        'book.execute("DELETE FROM held WHERE x = ? AND subs_id = ?", (x, subs_id));'
        ' book.execute("DELETE FROM newest WHERE x = ?", (x,))',
        "what was ended does not come back",
    ),
    "no fence is kept": ("    if fence < newest:", "    if False:", "a bind that comes late is stale"),
    "the revision is compared, not the fence": (
        "    if fence < newest:",
        "    if revision < max([r for (r,) in book.execute('SELECT revision FROM held WHERE x = ?', (x,))], default=0):",
        "a second binding on the same X",
    ),
    "a stale answer tells the fence that came": (
        '{"result": "stale", "fence": newest}',
        '{"result": "stale", "fence": fence}',
        "a bind that comes late is stale",
    ),
    "a stale answer has status 200": ("return 409,", "return 200,", "a bind that comes late is stale"),
    "a retry is refused": ("fence == newest and key != seen", "fence == newest", "the same again is ok again"),
    "another request may have a fence that was seen": (
        " or fence == newest and key != seen",
        "",
        "another request with a fence that was seen",
    ),
    "an unbind ends all that X has": (
        "DELETE FROM held WHERE x = ? AND subs_id = ?",
        "DELETE FROM held WHERE x = ? AND subs_id != '' || ?",
        "leaves the other",
    ),
    "an X has one binding": (
        'book.execute("REPLACE INTO held',
        'book.execute("DELETE FROM held WHERE x = ?", (x,)); book.execute("REPLACE INTO held',
        "a second binding on the same X",
    ),
    "an update of what is not there is nothing": (
        "        else:\n            book.execute(\"REPLACE",
        "        elif asked['op'] == 'bind' or book.execute('SELECT 1 FROM held WHERE subs_id = ?', (subs_id,)).fetchone():\n"
        "            book.execute(\"REPLACE",
        "an update of what is not there",
    ),
    "every operation is taken": ('asked["op"] not in ("bind", "update", "unbind") or ', "", "an operation that is not known"),
    "the signature is not looked at": (
        "webhook.verify(body, dict(self.headers))",
        "json.loads(body)",
        "signed with another secret",
    ),
    "what is not signed is answered with a result": (
        '{"error": "the signature is not right"}',
        '{"result": "refused", "reason": "signature"}',
        "without a signature",
    ),
    "pages overlap": ("(x, subs_id) > (?, ?)", "(x, subs_id) >= (?, ?)", "pages of one holding"),
    "a query has no order": ("ORDER BY x, subs_id", "ORDER BY x DESC, subs_id DESC", "a second binding on the same X"),
    "a query tells the newest revision of X": ("REPLACE INTO held VALUES (?, ?, ?, ?)\", (x, subs_id, revision, fence)",
        "REPLACE INTO held VALUES (?, ?, ?, ?)\", (x, subs_id, 1, fence)", "an update is carried out"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_check_finds_a_mistake_in_an_adapter(mistake, tmp_path, place):
    old, new, rule = MISTAKES[mistake]
    adapter = place(adapters.of_page(tmp_path, [(old, new)])).start()
    code, told = adapter.check()
    assert code == 1 and any(rule in one for one in adapters.failed_rules(told)), told


def test_the_fence_of_an_ended_binding_outlives_a_restart(tmp_path, place):
    """A book in memory is the mistake that the check alone cannot find: it takes a kill."""
    for name, changes, stale in (("kept", (), True), ("lost", (('"carrier.sqlite"', '":memory:"'),), False)):
        home = tmp_path / name
        home.mkdir()
        adapter = place(adapters.of_page(home, changes)).start()
        client = protocol.Client(adapter.url, adapters.SECRET)
        bind = protocol.bind("17000000001", fence=1_000)
        unbind = protocol.unbind("17000000001", subs_id="1000", revision=2, fence=1_001)
        assert [client.send(one).outcome for one in (bind, unbind)] == ["ok", "ok"]
        adapter.kill()
        adapter.start()
        assert client.send(bind).outcome == ("stale" if stale else "ok")


def test_what_the_page_shows_is_what_the_protocol_says():
    shown = [json.loads(block.text) for block in blocks(adapters.PAGE) if block.language == "json"]
    requests = [one for one in shown if "op" in one]
    for request in requests:
        protocol.read_request(json.dumps(request).encode())
    assert sorted(one["op"] for one in requests) == ["bind", "query", "unbind", "update"]
    statuses = {"ok": 200, "refused": 422, "stale": 409}
    answers = [one for one in shown if "op" not in one]
    told = [protocol.outcome(statuses[one["result"]], json.dumps(one).encode(), "held" in one) for one in answers]
    assert told == ["ok", "refused", "stale", "ok"]


def test_both_pages_show_the_same():
    english, chinese = ([(one.language, one.text) for one in blocks(page)] for page in (adapters.PAGE, CHINESE))
    assert english == chinese
