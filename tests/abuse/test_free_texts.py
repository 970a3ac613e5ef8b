"""What customers write in free texts may name a person: it is shown where it is revealed, and nowhere else."""

import http.client
import json
from contextlib import ExitStack, closing
from urllib.parse import quote

import pytest

from abuse.minimal_phone import Media, Phone, sdp
from abuse.ownership import admin, audit, new_second
from calls.exchange import CALLEE_HOST, CALLER_HOST, Exchange
from support.gateway import bound, expiration
from support.process import Maskline

pytestmark = pytest.mark.timeout(300)

CANARY = "canary"
# A number that is no party of anything, as it may stand in a text.
NUMBER = "13755512345"
FIELDS = ("OutId", "OutOrderId", "Extend", "ASRModelId", "RingConfig", "DtmfConfig")


def text(field, moment):
    """What stands in a field at some moment."""
    word = f"{CANARY}-{field}-{moment}-{NUMBER}"
    return json.dumps({"AXNRing_N": word, "AXBRing_A": NUMBER, "note": word}) if field.endswith("Config") else word


class Texts:
    """Bindings of both products with every text, changed and ended ones too, and a call."""

    def __init__(self, home):
        self.service = Maskline(home / "data", args=["--log-level", "trace"])
        self.service.start()
        self.exchange = exchange = Exchange(self.service)
        pairs = exchange.axb_pool()
        self.bindings = {}
        fields = {field: text(field, "bound") for field in FIELDS}
        for moment, ends in (("live", False), ("ended", True)):
            axn = bound(exchange.api.bind_axn(exchange.party(), **fields))
            axb = bound(pairs.bind_axb(exchange.party(), exchange.party(), **fields))
            for product, api, (subs_id, x) in (("AXN", exchange.api, axn), ("AXB", pairs, axb)):
                changed = api.call(
                    "UpdateSubscription", SubsId=subs_id, PhoneNoX=x, OperateType="updateOutId",
                    OutId=text("OutId", "changed"), RingConfig=text("RingConfig", "changed"),
                    ASRModelId=text("ASRModelId", "changed"),
                )
                assert changed.code == "OK", str(changed)
                self.bindings[product, moment] = subs_id, x
                assert api.detail(subs_id, x).code == "OK"
                if ends:
                    self.while_live = new_second()
                    assert api.unbind(subs_id, x).code == "OK"
        _, self.x = self.bindings["AXN", "live"]
        self._call()
        self.refused = self._refused(pairs)

    def _call(self):
        switch = self.exchange.switch
        with ExitStack() as stack:
            callee, caller, media = (
                stack.enter_context(closing(thing))
                for thing in (Phone(CALLEE_HOST, switch), Phone(CALLER_HOST, switch), Media(CALLER_HOST))
            )
            self.exchange.carrier(callee.port, prompts="none")
            caller.dial(self.x, sdp(media.host, media.port))
            callee.await_invite()
            callee.reply("486 Busy Here")
            caller.await_final()
        self.call_id = self.exchange.record(self.x)["call_id"]

    def _refused(self, pairs):
        """The answers to texts that are refused."""
        long, word = f"{CANARY}-{NUMBER}" * 400, f"{CANARY} {NUMBER}"
        subs_id, x = self.bindings["AXB", "live"]
        rows = [
            ("OutId", long), ("OutOrderId", long), ("Extend", long), ("ASRModelId", long),
            ("RingConfig", word), ("RingConfig", f'{{"{word}":1}}'), ("RingConfig", f'["{word}"]'),
            ("DtmfConfig", word), ("DtmfConfig", f'{{"maxLoop":"{word}"}}'),
            ("DtmfConfig", f'{{"endCallIvrPhoneNo":"{NUMBER}"}}'),
            ("IsRecordingEnabled", word), ("CallDisplayType", word), ("ExpectCity", long), ("Expiration", word),
            ("PhoneNoB", word), ("PhoneNoX", word), ("CallRestrict", word), ("CallTimeout", word), ("RingConfig", long),
        ]
        answers = []
        for field, value in rows:
            wanted = {"PhoneNoA": "13900000001", "PhoneNoB": "13900000002", "Expiration": expiration(), field: value}
            answers.append((field, pairs.call("BindAxb", **wanted)))
            answers.append((field, pairs.call(
                "UpdateSubscription", **{"SubsId": subs_id, "PhoneNoX": x, "OperateType": word, field: value}
            )))
            answers.append((field, pairs.call(field + word, **{field: value})))
        return answers


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    texts = Texts(tmp_path_factory.mktemp("texts"))
    yield texts
    texts.service.stop()


def shows(told):
    return CANARY in told or NUMBER in told


def looks(texts):
    """Every way to look at what was written, and those fields that are shown when they are revealed."""
    asked = f"caller=-&x={texts.x}"
    rows = [
        ("/v1/bindings", ()),
        ("/v1/bindings?state=ended", ()),
        ("/v1/calls", ()),
        (f"/v1/calls/{texts.call_id}", ("OutId", "OutOrderId")),
        ("/v1/calls/live", ()),
        (f"/v1/numbers/{texts.x}", ()),
        (f"/v1/explain?{asked}", ()),
        (f"/v1/explain?{asked}&at={quote(texts.while_live)}", ()),
        (f"/v1/explain?caller=13900000001&x={texts.x}&digits=1", ()),
        ("/v1/audit?limit=1000", ()),
        ("/v1/status", ()),
    ]
    for (product, _), (subs_id, _) in texts.bindings.items():
        fields = FIELDS if product == "AXB" else FIELDS[:-1]
        rows.append((f"/v1/bindings/{subs_id}", fields))
    return rows


def test_no_look_shows_texts_that_are_not_revealed(texts):
    for path, fields in looks(texts):
        status, told = admin(texts.service, path)
        assert status == 200 and not shows(told), f"{path}: {told}"
        if path.startswith(("/v1/audit", "/v1/status")):
            continue
        _, told = admin(texts.service, f"{path}{'&' if '?' in path else '?'}reveal=true")
        for field in FIELDS:
            assert (f"{CANARY}-{field}-" in told) == (field in fields), f"{path} {field}: {told}"


def test_no_command_shows_texts_that_are_not_revealed(texts):
    commands = [
        ("journal", "show", "--limit", "1000"), ("binding", "ls"), ("binding", "ls", "--ended"), ("call", "ls"),
        ("call", "show", texts.call_id), ("explain", "-", texts.x), ("explain", "-", texts.x, "--at", texts.while_live),
        ("audit", "--limit", "1000"), ("number", "ls"), ("pool", "ls"), ("account", "ls"), ("status",), ("trunk", "ls"),
        *(("binding", "show", subs_id) for subs_id, _ in texts.bindings.values()),
    ]
    for command in commands:
        for form in ((), ("--json",)):
            done = texts.service.cli(*command, *form, check=False)
            assert not shows(done.stdout + done.stderr), f"{command} {form}: {done.stdout}"
    revealed = texts.service.cli("journal", "show", "--limit", "1000", "--reveal").stdout
    for field in FIELDS:
        assert f"{CANARY}-{field}-bound" in revealed
    for field in ("OutId", "RingConfig", "ASRModelId"):
        assert f"{CANARY}-{field}-changed" in revealed


@pytest.mark.parametrize(
    "options, asked",
    [
        ([], "limit=20"),
        (["--limit", "1"], "limit=1"),
        (["--limit", "3"], "limit=3"),
        # More than are read at a time, and more than there are.
        (["--limit", "70", "--from", "1"], "limit=70 from=1"),
        (["--limit", "100000"], "limit=100000"),
        (["--from", "1"], "limit=20 from=1"),
        (["--from", "2", "--limit", "5"], "limit=5 from=2"),
        (["--from", "0", "--limit", "2"], "limit=2 from=0"),
        (["--from", "900000"], "limit=20 from=900000"),
        (["--limit", "0"], "limit=0"),
        (["--at", "2020-01-01 00:00:00", "--limit", "4"], 'limit=4 at="2020-01-01 00:00:00"'),
    ],
)
def test_a_revealed_journal_leaves_what_was_asked_and_how_much_was_shown(texts, options, asked):
    shown = texts.service.cli("journal", "show", "--reveal", *options).stdout
    rows = sum(line.startswith("batch ") for line in shown.splitlines())
    newest = audit(texts.service)[0]
    assert newest["deed"] == "revealed"
    assert json.loads(newest["facts"]) == {"what": f"the journal {asked}", "rows": rows}


def test_a_journal_is_not_revealed_where_that_cannot_be_written_down(texts):
    done = texts.service.cli("journal", "show", "--reveal", check=False, env={"MASKLINE_TOKEN": "guessed"})
    assert done.returncode != 0 and done.stdout == "", done.stdout


def test_the_log_metrics_and_files_hold_none(texts):
    link = http.client.HTTPConnection(texts.service.ready["admin"], timeout=30)
    for path in ("/metrics", "/readyz"):
        link.request("GET", path)
        assert not shows(link.getresponse().read().decode())
    log = texts.service.log_path.read_text()
    assert "DEBUG" in log, "each request leaves a line"
    assert not shows(log), [line for line in log.splitlines() if shows(line)][:5]
    for path in texts.service.data.rglob("*"):
        if path.is_file() and not path.name.startswith("maskline.db"):
            assert not shows(path.read_bytes().decode(errors="replace")), path


def test_refusals_name_the_parameter_and_not_what_stands_in_it(texts):
    refused = 0
    for field, answer in texts.refused:
        refused += answer.code != "OK"
        told = answer.body.decode() + json.dumps(answer.headers)
        assert not shows(told), f"{field}: {answer}"
    assert refused >= len(texts.refused) * 2 // 3, "these are refused"
