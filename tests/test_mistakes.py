"""What a person is told who makes a mistake: the place, what is wrong, and what was probably meant.

Each row is one mistake by way of one command, with the exit code and the words of the message.
"""

import json
from dataclasses import dataclass, field, replace

import pytest

from support.operator import Operator

BASE = """
[[account]]
id = "acme"
real_name_verified = true
[[pool]]
key = "FC900"
account = "acme"
product = "axn"
[[pool]]
key = "FC901"
account = "acme"
product = "axn"
[[numbers]]
pool = "FC900"
city = "杭州"
province = "浙江"
carrier = "unicom"
list = ["17300000000", "17300000001"]
[[trunk]]
name = "carrier-a"
peer = "192.0.2.10:5060"
outgoing = false
"""


@dataclass
class Mistake:
    """`wrong` is a file of this name and text, or none; `FILE` among the words stands for it."""

    words: list
    told: list
    code: int = 2
    name: str = "m.toml"
    wrong: str = None
    env: dict = field(default_factory=dict)


def settings(text, *told, code=2):
    return Mistake(["serve", "--check", "--config", "FILE"], list(told), code, wrong=text)


def document(text, *told, code=2):
    return Mistake(["apply", "FILE", "--dry-run"], list(told), code, name="d.toml", wrong=text)


def numbers(text, *told, code=2, flags=()):
    words = ["number", "import", "FILE", "--pool", "FC900", "--dry-run", *flags]
    return Mistake(words, list(told), code, name="n.csv", wrong=text)


def command(words, *told, code=1, env=None):
    return Mistake(words.split(), list(told), code, env=env or {})


MISTAKES = {
    # Settings
    "unknown section": settings("[sips]\nx = 1\n", "m.toml:1: sips: unknown field `sips`", "did you mean sip?"),
    "unknown key": settings("[api]\nlisen = 1\n", "m.toml:2: api.lisen", "did you mean listen?"),
    "key without its unit": settings("[api]\nidle_timeout = 3\n", "m.toml:2", "did you mean idle_timeout_s?"),
    "key with another unit": settings("[writer]\ndeadline_s = 3\n", "m.toml:2", "did you mean deadline_ms?"),
    "value with a unit": settings(
        '[api]\nbody_timeout_s = "10s"\n', "m.toml:2: api.body_timeout_s", "a whole number of seconds"
    ),
    "fraction of a unit": settings("[jobs]\ninterval_ms = 0.5\n", "m.toml:2", "a whole number of milliseconds"),
    "value out of bounds": settings("[jobs]\nbatch_max = 0\n", "m.toml:2", "0 is not between 1 and 4000"),
    "limit of an unknown action": settings(
        "[limits.actions]\nUnbindSubscripton = 5\n", "m.toml:2", "did you mean UnbindSubscription?"
    ),
    "log level": settings('[log]\nlevel = "inof"\n', "m.toml:2: log.level", "not a log level"),
    "log format": settings('[log]\nformat = "jsn"\n', "m.toml:2", "did you mean json?"),
    "language": settings('[prompts]\nlanguages = ["chinse"]\n', "m.toml:2", "did you mean chinese?"),
    "address without a port": settings('[sip]\nlisten = "127.0.0.1"\n', "m.toml:2", "the colon is missing"),
    "domain with a port": settings(
        '[sip]\ndomains = ["sip.example.com", "ims.example:5060"]\n', "m.toml:2: sip.domains",
        "`ims.example:5060` is neither a host name nor an IP address",
    ),
    "one address for two": settings(
        '[api]\nlisten = "127.0.0.1:8081"\n', "m.toml:2: api.listen", "wanted by admin.listen too"
    ),
    "media ports over SIP": settings(
        '[rtp]\nports = "5000-5999"\n', "m.toml:2: rtp.ports", "holds the port 5060 of sip.listen"
    ),
    "too few media ports": settings(
        '[rtp]\nports = "20000-20099"\n', "m.toml:2: rtp.ports", "calls.calls_max = 25", code=0
    ),
    "media range from odd to even": settings('[rtp]\nports = "20001-20100"\n', "m.toml:2", "even port"),
    "certificate without a key": settings('[api]\ncertificate = "c.pem"\n', "m.toml:2", "api.private_key is missing"),
    "certificate that is not there": settings(
        '[sip]\nserver_authorities = "/nowhere/ca.pem"\n', "m.toml:2", "/nowhere/ca.pem", code=75
    ),
    "prompts that are not there": settings(
        '[prompts]\ndirectory = "/nowhere"\n', "m.toml:2: prompts.directory: /nowhere is no directory", code=0
    ),
    "section given a value": settings('rtp = "20000-29999"\n', "m.toml:1: rtp", "written as [rtp]"),
    "settings that are no TOML": settings("a = \n[api]\nlisten = nowhere\n", "m.toml:1: ", "m.toml:3: "),
    "several at once": settings(
        "[api]\ncolour = 1\nlisten = 3\n[jobs]\nbatch_max = 0\n", "m.toml:2: ", "m.toml:3: ", "m.toml:5: "
    ),
    "variable": command(
        "serve --check", "MASKLINE_API_LISTEM: ", "did you mean MASKLINE_API_LISTEN?", code=2,
        env={"MASKLINE_API_LISTEM": "x"},
    ),
    "variable with a unit": command(
        "serve --check", "MASKLINE_PROCESS_DRAIN_TIMEOUT_S: ", "a whole number of seconds", code=2,
        env={"MASKLINE_PROCESS_DRAIN_TIMEOUT_S": "30s"},
    ),
    "flag": command("serve --check --sip 5060", "--sip: sip.listen: ", "the colon is missing", code=2),
    # Documents
    "unknown table": document('[[acount]]\nid = "a"\n', "d.toml:1: acount", "did you mean account?"),
    "unknown member": document('[[pool]]\nkey = "FC900"\ncooling = 3\n', "d.toml:3", "did you mean cooling_s?"),
    "unknown word": document('[[account]]\nid = "acme"\nstatus = "in_arears"\n', "d.toml:3", "did you mean in_arrears?"),
    "unknown codec": document(
        '[[trunk]]\nname = "carrier-a"\ncodecs = ["pcmaa"]\n', "d.toml:1: trunk carrier-a", "did you mean pcma?", code=1
    ),
    "codec that nobody knows": document(
        '[[trunk]]\nname = "carrier-a"\ncodecs = ["pcma", "clearmode"]\n', "d.toml:1: ", "codec `clearmode`", code=0
    ),
    "peer of another trunk": document(
        '\n[[trunk]]\nname = "b"\npeer = "192.0.2.10:5060"\n', "d.toml:2: trunk b", "trunk carrier-a too", code=0
    ),
    "X of six digits": document('[[numbers]]\ncity = "x"\nlist = ["170000"]\n', "d.toml:1: number 170000", "11 digits", code=1),
    "X with a letter": document(
        '[[numbers]]\ncity = "x"\nlist = [\n "17300000009",\n "1730000000O",\n]\n', "d.toml:5: numbers.list", "digits only"
    ),
    "number twice": document(
        '[[numbers]]\ncity = "x"\nlist = ["17300000009"]\n[[numbers]]\ncity = "y"\nlist = ["17300000009"]\n',
        "d.toml:4: number 17300000009", "twice", code=1,
    ),
    "account twice": document('[[account]]\nid = "a"\n[[account]]\nid = "a"\n', "d.toml:3: account a", "twice", code=1),
    "pool of nobody": document(
        '[[pool]]\nkey = "FC9"\naccount = "acmee"\nproduct = "axn"\n', "d.toml:1: pool FC9", "no such account", code=1
    ),
    "several rules at once": document(
        '[[pool]]\nkey = "FC9"\naccount = "x"\nproduct = "axn"\n[[trunk]]\nname = "t"\npeer = "192.0.2.1"\n',
        "d.toml:1: pool FC9", "d.toml:5: trunk t", code=1,
    ),
    "table for a list": document('[account]\nid = "a"\n', "d.toml:1: account", "[[account]]"),
    # Files of numbers
    "unknown column": numbers("number,city,carier\n17300000009,x,unicom\n", "n.csv:1: column `carier`", "did you mean carrier?"),
    "missing column": numbers("number,province\n17300000009,x\n", "n.csv:1: the column city is missing"),
    "no line of names": numbers("17300000009,x\n", "n.csv:1: ", "the column number is missing"),
    "number twice in a file": numbers(
        "number,city\n17300000009,x\n17300000008,x\n17300000009,y\n", "n.csv:4: number: 17300000009 stands on line 2"
    ),
    "short number in a file": numbers("number,city\n170000,x\n", "n.csv:2: number: 170000: 6 digits"),
    "carrier in a file": numbers("number,city,carrier\n17300000009,x,unicorn\n", "n.csv:2: carrier", "did you mean unicom?"),
    "yes for true": numbers("number,city,certified\n17300000009,x,yes\n", "n.csv:2: certified: `yes` is none of true, false"),
    "row cut short": numbers("number,city\n17300000009\n", "n.csv:2: 1 fields"),
    "several rows": numbers("number,city\nx,x\n17300000009,\n110,x\n", "n.csv:2: ", "n.csv:3: ", "n.csv:4: "),
    "number that is there, imported": numbers(
        "number,city,carrier\n17300000000,北京,mobile\n", "17300000000", "city 杭州 -> 北京", "carrier unicom -> mobile",
        "--move", code=1,
    ),
    # Commands
    "number that is there, added": command(
        "number add 17300000000 --city 杭州 --pool FC901", "17300000000 (pool FC900 -> FC901)", "--move"
    ),
    "short number": command("number add 170000 --city x", "number 170000", "11 digits"),
    "no number": command("number add 1730-0000 --city x", "`1730-0000`: a number consists of digits only", code=2),
    "status of numbers": command("number ls --status used", "status `used` is none of free, bound, locked, frozen"),
    "status nearly right": command("number ls --status lokced", "did you mean locked?"),
    "pool of numbers": command("number ls --pool FC90", "there is no pool `FC90`", "did you mean FC900?"),
    "pool of bindings": command("binding ls --pool FC9000", "there is no pool", "did you mean FC900?"),
    "situation of calls": command("call ls --situation bussy", "situation `bussy`", "did you mean busy?"),
    "flag of calls": command("call ls --status foo", "unexpected argument '--status'", code=2),
    "pool of calls": command("call ls --pool FC99", "there is no pool `FC99`"),
    "account of keys": command("key ls --account acmee", "there is no account `acmee`", "did you mean acme?"),
    "account of users": command("user ls --account acmee", "there is no account", "did you mean acme?"),
    "account of pools": command("pool ls --account acmee", "there is no account", "did you mean acme?"),
    "codec on the command line": command("trunk set carrier-a --codecs pcmaa", "did you mean pcma?"),
    "word on the command line": command("trunk set carrier-a --identity-out pia", "did you mean pai?", code=2),
    "command": command("numbre ls", "unrecognized subcommand 'numbre'", "number", code=2),
    "time of calls": command("call ls --since yesterday", "yyyy-MM-dd HH:mm:ss"),
}


@pytest.fixture(scope="module")
def service(shared):
    Operator(shared).apply(BASE)
    return shared


def said(service, mistake, folder):
    file = folder / mistake.name
    if mistake.wrong is not None:
        file.write_text(mistake.wrong, encoding="utf-8")
    words = [str(file) if word == "FILE" else word for word in mistake.words]
    return service.cli(*words, check=False, env=mistake.env)


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_told_with_its_place_and_what_was_meant(service, tmp_path, name):
    mistake = MISTAKES[name]

    done = said(service, mistake, tmp_path)

    assert done.returncode == mistake.code, done.stderr
    for told in mistake.told:
        assert told in done.stderr, done.stderr
    if mistake.code == 0:
        assert "warning: " in done.stderr


def test_there_are_forty_mistakes():
    assert len(MISTAKES) >= 40


def test_mistakes_change_nothing(service, tmp_path):
    def everything():
        nouns = ["account", "pool", "trunk", "number"]
        told = [json.loads(service.cli(noun, "ls", "--json").stdout) for noun in nouns]
        # How trunks are is another thing than what is said of them.
        living = ("addresses", "reachable", "registration", "trouble")
        told[2] = [{key: row[key] for key in row if not key.startswith(living)} for row in told[2]]
        return told

    before = everything()
    for mistake in MISTAKES.values():
        if mistake.code != 0:
            # Not only looked at: really tried.
            words = [word for word in mistake.words if word != "--dry-run"]
            done = said(service, replace(mistake, words=words), tmp_path)
            assert done.returncode == mistake.code, done.stderr
    assert everything() == before


def test_move_changes_what_it_says_and_nothing_else(maskline):
    Operator(maskline).apply(BASE)
    looked = maskline.cli("number", "add", "17300000001", "--city", "北京", "--pool", "FC901", "--move", "--dry-run")
    assert "pool: FC900 -> FC901" in looked.stdout and "city: 杭州 -> 北京" in looked.stdout
    show = lambda: json.loads(maskline.cli("number", "show", "17300000001", "--json").stdout)
    assert show()["pool"] == "FC900"
    maskline.cli("number", "add", "17300000001", "--city", "北京", "--pool", "FC901", "--move")
    after = show()
    assert (after["pool"], after["city"], after["carrier"]) == ("FC901", "北京", "unicom")
    again = maskline.cli("number", "add", "17300000001", "--city", "北京", "--pool", "FC901")
    assert "nothing to change" in again.stdout
