"""What pages say in words, tables and links rather than in blocks: each name of ours in them is one that there is."""

import json
import re
import shutil
import subprocess
import time
import tomllib
import urllib.error
import urllib.request

import pytest

from calls.registrar import Registrar
from carriers.simulated import SimulatedCarrier
from peers import test_peers
from support.gateway import bound
from support.operator import Operator
from support.pages import pages, uncommented
from support.process import REPOSITORY, Maskline

SHOWN_S = 60


def named(pattern):
    """(page, what the pattern's group or groups found in it), each once."""
    for page in pages():
        text = (REPOSITORY / page).read_text(encoding="utf-8")
        for name in sorted(set(re.findall(pattern, text))):
            yield page, name


def anchors(path):
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"(?m)^#+ (.+)$", path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@pytest.mark.offline
def test_every_link_of_a_page_leads_to_a_file_and_a_heading():
    wrong = []
    for page, link in named(r"\]\(([^)\s]+)\)"):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (REPOSITORY / page).parent / file if file else REPOSITORY / page
        if not target.exists() or anchor and anchor not in anchors(target):
            wrong.append((page, link))
    assert not wrong


@pytest.mark.offline
def test_every_file_of_the_repository_that_a_page_names_is_there():
    found = list(named(r"(?<![\w/])((?:tests|scripts|packaging|docs|examples)/[\w./-]*\w)"))
    assert len(found) > 10
    missing = [(page, name) for page, name in found if not (REPOSITORY / name).exists()]
    assert not missing


@pytest.mark.offline
def test_every_item_of_a_crate_that_a_page_names_is_there():
    for page, path in named(r"`maskline_(\w+(?:::\w+)+)`"):
        crate, *_, item = path.split("::")
        sources = (REPOSITORY / "crates" / crate / "src").rglob("*.rs")
        defined = re.compile(rf"pub (?:struct|enum|trait|fn|mod|type) {item}\b")
        assert any(defined.search(file.read_text(encoding="utf-8")) for file in sources), f"{page}: {path}"


@pytest.mark.offline
def test_every_benchmark_that_is_named_is_in_its_crate():
    wanted = r"cargo bench (?:--locked )?-p maskline-(\w+) --bench (\w+)"
    others = [REPOSITORY / "Makefile", *(REPOSITORY / "crates").glob("*/benches/**/*.rs")]
    named_by = [(str(file.relative_to(REPOSITORY)), file.read_text(encoding="utf-8")) for file in others]
    found = [*named(wanted), *((name, pair) for name, text in named_by for pair in re.findall(wanted, text))]
    assert len(found) > 8

    def stands(crate, bench):
        benches = REPOSITORY / "crates" / crate / "benches"
        return any((benches / file).exists() for file in (f"{bench}.rs", f"{bench}/main.rs"))

    assert not [one for one in found if not stands(*one[1])]


@pytest.mark.offline
def test_every_setting_that_a_page_names_is_one():
    settings = tomllib.loads(uncommented("maskline.example.toml"))
    # `demo` is a setting and no section, `demo.json` a file.
    sections = {name for name, section in settings.items() if isinstance(section, dict)}
    found = [(page, name) for page, name in named(r"`([a-z_]+\.[a-z_]+)(?: = [^`]*)?`") if name.split(".")[0] in sections]
    assert len(found) > 30
    unknown = [(page, name) for page, name in found if name.split(".")[1] not in settings[name.split(".")[0]]]
    assert not unknown


@pytest.mark.offline
def test_every_default_that_a_page_names_is_that_of_the_example():
    """The example file is what the program takes its defaults from; pages that repeat one must repeat that."""
    settings = tomllib.loads(uncommented("maskline.example.toml"))
    texts = {page: (REPOSITORY / page).read_text(encoding="utf-8") for page in pages()}
    assert sum(len(defaults_named(text)) for text in texts.values()) > 8
    assert {page: wrong for page, text in texts.items() if (wrong := wrong_defaults(text, settings))} == {}
    for right, planted in (
        ("| 127.0.0.1:8080 |", "| 127.0.0.1:8088 |"),
        ("| as SIP, 20000-29999 |", "| as SIP, 20000-39999 |"),
        ("`rtp.unheard_kib_max` (4)", "`rtp.unheard_kib_max` (8)"),
    ):
        text = texts["docs/configuration.md"]
        assert text.count(right) == 1
        assert len(wrong_defaults(text.replace(right, planted), settings)) == 1, planted


def defaults_named(text):
    """(setting, default) as a page tells them: in a column of that name, in brackets, or behind "by default"."""
    name = r"`([a-z_]+\.[a-z_]+)`"
    found = re.findall(name + r" \(([\w.:-]+)\)", text) + re.findall(name + r", by default ([\w.:-]*\w)", text)
    for table in re.findall(r"(?m)^\|.*\| default \|\n\|[-|]+\n((?:\|.*\n)+)", text):
        for row in table.splitlines():
            *_, named, default = row.strip("| ").split("|")
            found += [(setting, default.strip()) for setting in re.findall(name, named)]
    return found


def wrong_defaults(text, settings):
    wrong = []
    for setting, told in defaults_named(text):
        section, _, name = setting.partition(".")
        if section in settings and re.search(r"\d", told):
            default = str(settings[section][name])
            if default and default not in re.split(r"[ ,]+", told):
                wrong.append((setting, told))
    return wrong


@pytest.mark.offline
def test_the_changelog_tells_each_change_once_and_to_its_end():
    assert changelog_slips((REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")) == []
    # What merges have left: the end of an entry behind another one, and an entry beside its newer wording.
    slips = [
        ("- One thing is so.\n- Another is so.\n  thing is so.\n", "thing is so."),
        ("- A host name is looked up; that is all of it.\n- A host name is looked up, by the resolver.\n", "A host name is"),
        ("- One thing is\n- Another is so.\n", "One thing is"),
        ("<<<<<<< HEAD\n- One thing is so.\n", "<<<<<<< HEAD"),
    ]
    for text, told in slips:
        found = changelog_slips(text)
        assert found and told in found[0], f"{text}: {found}"


def changelog_slips(text):
    """Lines that continue what has ended, entries that do not end, and entries that begin as another one does."""
    lines = text.split("\n")
    found = [line for line in lines if re.match(r"<{7}|={7}|>{7}", line)]
    for before, line in zip(lines, lines[1:], strict=False):
        if re.match(r"  [a-z]", line) and before.endswith("."):
            found.append(line.strip())
    begun = set()
    for entry in re.findall(r"(?m)^- .*(?:\n  .*)*", text):
        if not entry.endswith("."):
            found.append(f"without an end: {entry[2:]}")
        begin = " ".join(re.findall(r"[\w`./]+", entry)[:5])
        if begin in begun:
            found.append(f"twice: {begin}")
        begun.add(begin)
    return found


def test_every_metric_that_a_page_names_is_shown(tmp_path):
    found = list(named(r"`(maskline_[a-z_]+)`"))
    assert len(found) > 8
    service = Maskline(tmp_path / "data").start()
    told = SimulatedCarrier(tmp_path).start()
    try:
        # Some are there only with a carrier that was told of a binding, and reconciled.
        operator = Operator(service)
        operator.apply(
            f'[[carrier]]\nname = "told"\nkind = "http"\nurl = "{told.url}"\nsecret = "{told.secret}"\n'
        )
        bound(operator.world(numbers={"北京": 1}, carrier="told").gateway().bind_axn("13900000000"))
        reconcile("told", service)
        # Others only with a trunk that is asked whether it is there, and that takes registrations.
        with Registrar("127.0.0.1", lambda *_: ["200 OK", "Expires: 3600"]) as carrier:
            operator.apply(
                f'''
                [[trunk]]
                name = "carrier"
                peer = "127.0.0.1:{carrier.port}"
                options_every_s = 30
                registrar = "127.0.0.1"
                auth_username = "line-1"
                auth_secret = "its-password"
                '''
            )
            deadline = time.monotonic() + SHOWN_S
            # Figures are written once a second at most.
            while missing := [one for one in found if one[1] not in metrics(service)]:
                assert time.monotonic() < deadline, missing
                time.sleep(0.2)
    finally:
        service.stop()
        told.close()


def reconcile(name, service):
    """As soon as the service has noticed that there is such a carrier."""
    deadline = time.monotonic() + SHOWN_S
    while service.cli("carrier", "reconcile", name, check=False).returncode != 0:
        assert time.monotonic() < deadline, "the carrier is never reconciled"
        time.sleep(0.2)


@pytest.mark.offline
def test_prometheus_takes_the_alerts_for_carriers_that_the_pages_tell(tmp_path):
    """Each expression is one, and of metrics that the page names."""
    promtool = shutil.which("promtool")
    assert promtool, "Debian's package `prometheus` has it; `make tools` installs it"
    told = {}
    for page in ("docs/carriers.md", "docs/carriers.zh-CN.md"):
        text = (REPOSITORY / page).read_text(encoding="utf-8")
        rows = re.findall(r"(?m)^\| ([^|]+) \| `((?:[^`|]|\\\|)*maskline_(?:[^`|]|\\\|)*[><] [^`|]*)` \|", text)
        # In a table the bar of an expression is written with a backslash, which is none of it.
        told[page] = [expression.replace("\\|", "|") for _, expression in rows]
        known = set(re.findall(r"`(maskline_[a-z_]+)`", text))
        used = {re.sub(r"_bucket$", "", name) for one in told[page] for name in re.findall(r"maskline_\w+", one)}
        assert used <= known, used - known
    english, chinese = told.values()
    assert english == chinese and len(english) >= 6, told
    rules = [{"alert": f"alert{n}", "expr": expression} for n, expression in enumerate(english)]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "carriers", "rules": rules}]}), encoding="utf-8")
    checked = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def metrics(service):
    with urllib.request.urlopen(f"http://{service.ready['admin']}/metrics", timeout=60) as answer:
        return set(re.findall(r"(?m)^# TYPE (\S+)", answer.read().decode()))


def test_every_command_that_a_page_names_is_one(tmp_path):
    service = Maskline(tmp_path / "data")
    unknown = {}
    found = list(named(r"`maskline ([a-z]+(?: (?:[a-z]+|[a-z]+\|[a-z]+))?)(?: [^`]*)?`"))
    assert len(found) > 20
    for page, words in found:
        first, *second = words.split(" ")
        for one in second[0].split("|") if second else [""]:
            if (first, one) not in unknown:
                unknown[first, one] = service.cli(first, *filter(None, [one]), "--help", check=False).returncode
            assert unknown[first, one] == 0, f"{page}: maskline {first} {one}"


def test_every_route_of_the_admin_api_that_can_be_read_is_one(tmp_path):
    page = (REPOSITORY / "docs" / "admin-api.md").read_text(encoding="utf-8")
    cells = re.findall(r"(?m)^\| (`[A-Z`, ]+ /v1/.*?) \|", page)
    routes = {path.split("?")[0] for cell in cells if "`GET" in cell for path in re.findall(r"/v1/[\w/-]+(?![\w/{])", cell)}
    assert len(routes) > 12, routes
    service = Maskline(tmp_path / "data").start()
    try:
        token = (service.data / "admin.token").read_text(encoding="utf-8").strip()
        for route in sorted(routes):
            # 400 is a route that lacks a parameter; one that is not there is 404.
            assert status_of(service, token, route) in (200, 400), route
        assert status_of(service, token, "/v1/nothing") == 404
    finally:
        service.stop()


def status_of(service, token, route):
    request = urllib.request.Request(
        f"http://{service.ready['admin']}{route}", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


# The rows of docs/phone.md about phones of other makers, and the features of the tests that they are about.
FEATURES = {
    "call over UDP, TCP": ("called over udp", "called over tcp"),
    "call over TLS": ("called over tls",),
    "early media, heard and played": (),
    "hold and resume, from each side": (),
    "re-INVITE in mid-call": ("re-INVITE",),
    "UPDATE in mid-call": ("UPDATE",),
    "keys as RTP events, both ways": (),
    "keys by INFO": ("keys by INFO, in",),
    "CANCEL, sent and taken": (),
    "answers our digest challenge": (),
    "challenges us": ("challenges us",),
    "100rel and PRACK": ("100rel",),
    "behind NAT, UDP and TCP": (),
}


def test_the_page_says_of_phones_of_other_makers_what_their_tests_say():
    """A cell begins with "yes" where no test is left out, and only there."""
    page = (REPOSITORY / "docs" / "phone.md").read_text(encoding="utf-8")
    section = page.split("\n## Phones of other makers\n")[1].split("\n## ")[0]
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.split("\n") if line.startswith("|")
    ]
    peers = [next(peer for peer in test_peers.PEERS if title.lower().startswith(peer)) for title in head[1:]]
    assert sorted(peers) == sorted(test_peers.PEERS)
    assert [row[0] for row in rows] == list(FEATURES)
    assert {feature for _, feature in test_peers.CANNOT} <= {one for row in FEATURES.values() for one in row}
    for feature, *cells in rows:
        for peer, cell in zip(peers, cells, strict=True):
            left_out = [one for one in FEATURES[feature] if (peer, one) in test_peers.CANNOT]
            assert cell.startswith("yes") == (not left_out), f"{feature}, {peer}: `{cell}`, but left out is {left_out}"
