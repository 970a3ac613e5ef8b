"""Every block of README and docs, as a reader would follow it, and the example files.

A new page or block is found by itself. A block of commands is run, settings go to `serve --check` and documents to
`apply --dry-run`, JSON is compared with what is printed in its place, Python is run with the vendor's own packages
and must be answered OK. What cannot be run carries its reason in one of the short tables below; a block that is
neither run nor excused fails.

The commands see a machine of the page's own: what they say of /etc, /var/lib, /usr/local and /backup lies under a
temporary directory, `sudo` is nobody, and the ports are those of a service that was started for the page.
"""

import json
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from calls.addresses import free_port
from calls.certificates import Authority
from support import snippets
from support.gateway import Gateway
from support.pages import Block, blocks, pages, uncommented
from support.process import REPOSITORY, Maskline, binary, clean_environment

BLOCK_S = 100

# Programs whose lines are left out, and why.
CANNOT_RUN = {
    "apt-get": "installs software on the machine",
    "aliyun": "the vendor's command line is in no registry that the tests use: Go's proxy has no version of it; what"
    " the line asks for is sent in its place",
    "cargo": "these tests run what cargo has built; a release build takes minutes",
    "chown": "the machine has no user for the service",
    "docker": "there is no container engine here",
    "journalctl": "there is no init here",
    "kill": "names a process of the reader's",
    "make": "these tests are part of it; whether there is such a target is looked up",
    "promtool": "Debian's prometheus brings it; its own test runs it",
    "sox": "turns a recording into another file, and needs one",
    "systemctl": "there is no init here",
    "systemd-creds": "there is no init here",
    "systemd-run": "there is no init here",
}
# (page, how a block begins): why it is none to run. What is printed is compared where it says of what.
EXCUSED = {
    ("docs/media.md", "DATA/"): "names files",
    ("docs/install.md", "[Service]"): "is read by systemd alone",
    ("docs/install.md", "sudo groupadd"): "makes a group on the machine; test_certificates.py does without one",
    ("docs/install.md", "sudo maskline-deploy-certificate"): "test_certificates.py runs it",
    ("docs/install.md", "sudo ln -s"): "certbot is not on the machine",
    **{
        (page, begin): f"carriers/{file} runs it"
        for page in ("docs/carrier-protocol.md", "docs/carrier-protocol.zh-CN.md")
        for begin, file in (
            ("{", "test_protocol_page.py"),
            ("import json", "test_protocol_page.py"),
            ("python3 examples/carrier/check.py", "test_kamailio_example.py"),
        )
    },
    **{
        ("examples/carrier/README.md", begin): "carriers/test_kamailio_example.py runs it"
        for begin in ("apt-get install kamailio", "python3 check.py", "kamcmd")
    },
}
# (page, how a block begins): the command that prints this. Numbers may differ, and lines may stand between.
PRINTED = {
    ("docs/phone.md", "0.000  -> INVITE"): "maskline call 13900000000 17080000000",
    ("docs/configuration.md", "maskline: maskline.toml:3"): (
        "printf '%s\\n' '# wrong' '[api]' 'listen = \"8080\"' '[limits.actions]' 'BindAxm = 5' > wrong.toml;"
        " maskline serve --config wrong.toml 2>&1 | sed s/wrong.toml/maskline.toml/;"
        " MASKLINE_API_LISTEM=1 maskline serve 2>&1"
    ),
}
# (page, how a block begins): where the JSON comes from whose members it shows.
SHOWN = {
    ("README.md", '{"RequestId"'): lambda machine: [last_object(machine.printed)],
    ("README.zh-CN.md", '{"RequestId"'): lambda machine: [last_object(machine.printed)],
    ("docs/configuration.md", '{"api"'): lambda machine: [
        machine.service.ready,
        json.loads((machine.data / "addresses.json").read_text(encoding="utf-8")),
    ],
}
# What a reader has: where a page's service keeps its data, what is in it, what was done before.
DEMO, EXAMPLE = "demo", "example"
PAGES = {
    "docs/backup.md": ("var/lib/maskline/data", DEMO),
    "docs/install.md": ("var/lib/maskline/data", None),
    "docs/configuration.md": ("maskline-data", EXAMPLE),
}
ORDINARY = ("maskline-data", DEMO)
# Text that a reader replaces.
PLACEHOLDERS = {
    "KEY_ID": lambda machine: machine.key()["access_key_id"],
    "KEY_SECRET": lambda machine: machine.key()["access_key_secret"],
}
# (page, how a line begins): what it must print, where its exit code tells too little.
TELLS = {
    ("README.md", "target/release/maskline explain"): "150******00",
    ("README.zh-CN.md", "target/release/maskline explain"): "150******00",
    ("docs/admin-api.md", "curl -H"): '"FC12345"',
}
# Begun and left running, as in another terminal.
IN_BACKGROUND = ("maskline phone", "maskline serve")
# Shortened, since the page asks for minutes of work.
SHORTER = (
    (r"cargo run --release -p maskline-sim --", "maskline-sim"),
    (r"--campaign 10", "--campaign 1 --steps 200"),
    (r"--steps 100000", "--steps 200"),
    (r"--calls 100000", "--calls 20"),
    (r"--states 10000", "--states 20"),
)


class Machine:
    """What the reader of one page sits at."""

    def __init__(self, home, page):
        self.home, self.page = home, page
        self.root = home / "root"
        self.checkout = home / "maskline"
        for place in ("etc/systemd/system", "etc/maskline", "usr/local/bin", "var/lib/maskline", "backup", "safe"):
            (self.root / place).mkdir(parents=True)
        self.checkout.mkdir()
        for name in ("docs", "packaging", "Makefile", "README.md", "scripts"):
            (self.checkout / name).symlink_to(REPOSITORY / name)
        (self.checkout / "target" / "release").mkdir(parents=True)
        (self.checkout / "target" / "release" / "maskline").symlink_to(binary())
        self.tools = home / "bin"
        self.tools.mkdir()
        (self.tools / "maskline").symlink_to(binary())
        self.simulator = binary().with_name("maskline-sim")
        (self.tools / "maskline-sim").symlink_to(self.simulator)
        sudo = self.tools / "sudo"
        sudo.write_text('#!/bin/sh\nexec "$@"\n')
        sudo.chmod(0o755)
        where, self.kind = PAGES.get(page, ORDINARY)
        self.data = (self.root if where.startswith("var") else self.checkout) / where
        self.service = Maskline(self.data, demo=self.kind == DEMO)
        self.phone_port = free_port("127.0.0.1")
        self.running = []
        self.printed = ""
        self.made_key = None

    def __enter__(self):
        self.service.start()
        if self.kind == EXAMPLE:
            document = self.home / "example.toml"
            # The page adds this trunk, and takes a file of numbers for granted.
            text = (REPOSITORY / "docs" / "apply.example.toml").read_text(encoding="utf-8")
            document.write_text(text, encoding="utf-8")
            self.service.cli("apply", document)
            self.service.cli("apply", "-", stdin='[remove]\ntrunks = ["carrier-a"]\n', check=False)
            (self.checkout / "numbers.csv").write_text("number,city\n17000200000,北京\n", encoding="utf-8")
        return self

    def __exit__(self, *_):
        for process in self.running:
            process.kill()
            process.wait()
        self.service.stop()

    def key(self):
        if self.kind == DEMO:
            return self.service.credentials()
        if self.made_key is None:
            made = self.service.cli("key", "create", "--account", "acme", "--json")
            self.made_key = json.loads(made.stdout)
        return self.made_key

    def here(self, text, placeholders=True):
        """The text with this machine's places and ports."""
        for place in ("/etc/", "/var/lib/maskline", "/usr/local/bin", "/backup", "/safe"):
            text = re.sub(rf"(?<![\w:.]){re.escape(place)}", f"{self.root}{place}", text)
        ready = self.service.ready or {}
        for port, listener in (("8080", "api"), ("8081", "admin"), ("8443", "https"), ("5060", "sip")):
            if ready.get(listener):
                text = text.replace(f"127.0.0.1:{port}", ready[listener])
        text = text.replace("HOST:PORT", ready.get("api", ""))
        text = text.replace("127.0.0.1:5070", f"127.0.0.1:{self.phone_port}")
        for short, how in SHORTER:
            text = re.sub(short, how, text)
        for name, value in PLACEHOLDERS.items() if placeholders else ():
            if re.search(rf"\b{name}\b", text):
                text = re.sub(rf"\b{name}\b", value(self), text)
        return text

    def run(self, script, program=("bash", "-euo", "pipefail", "-c")):
        path = f"{self.tools}:{os.environ['PATH']}"
        return subprocess.run(
            [*program, script], cwd=self.checkout, env=clean_environment(PATH=path, HOME=str(self.home)),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BLOCK_S,
        )  # fmt: skip

    def start(self, line):
        path = f"{self.tools}:{os.environ['PATH']}"
        log = open(self.home / "background.log", "ab")
        self.running.append(
            subprocess.Popen(
                ["bash", "-c", f"exec {line}"], cwd=self.checkout, env=clean_environment(PATH=path, HOME=str(self.home)),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        )
        log.close()

    def before(self, script):
        """What the page's text asks for before this block."""
        if " restore " in script:
            self.service.stop()
            (self.root / "safe" / "recordings").mkdir(exist_ok=True)
            self.run(f"cp {self.data}.key {self.root}/safe/master.key; touch {self.root}/safe/erasures.jsonl")
            self.run(f"cp {self.data}/erasures.jsonl {self.root}/safe/")
            self.data.rename(self.home / "lost")
            (self.home / "lost.key").write_bytes(self.data.with_name(self.data.name + ".key").read_bytes())

    def after(self, script):
        if " restore " in script:
            self.service.demo = False
            self.service.start()


def words_of(line):
    """The programs of a command line, without `sudo` and settings."""
    found = []
    for part in re.split(r"\||&&|;", line):
        words = [word for word in part.split() if not re.match(r"\w+=", word)]
        while words and words[0] in ("sudo", "exec", "time"):
            words.pop(0)
        found.append(os.path.basename(words[0]) if words else "")
    return found


def run_commands(machine, block):
    """Runs what can be run of it; a failure, or None."""
    logical = re.sub(r"\\\n\s*", " ", block.text).split("\n")
    kept = []
    for line in logical:
        here = machine.here(line)
        programs = words_of(re.sub(r"\s#.*", "", here))
        if "maskline-sim" in programs and not machine.simulator.exists():
            return f"there is no {machine.simulator}: cargo build --bin maskline-sim"
        if "aliyun" in programs and (problem := vendors_command(machine, here)):
            return problem
        if "make" in programs:
            targets = (REPOSITORY / "Makefile").read_text()
            for target in re.findall(r"make ([a-z][\w-]*)", line):
                if f"\n{target}:" not in targets:
                    return f"make has no target {target}"
        if any(program in CANNOT_RUN for program in programs):
            continue
        if here.strip().startswith(IN_BACKGROUND):
            machine.start(here)
            continue
        kept.append(here)
    script = "\n".join(kept)
    if not script.strip():
        return None
    machine.before(script)
    done = machine.run(script)
    machine.after(script)
    if done.returncode != 0:
        return f"exit code {done.returncode} of\n{script}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}"
    for line in block.text.split("\n"):
        wanted = next((what for (page, start), what in TELLS.items() if page == block.page and line.startswith(start)), "")
        if wanted not in done.stdout:
            return f"`{line}` does not tell of {wanted}:\n{done.stdout[-2000:]}"
    return None


def vendors_command(machine, line):
    """What is wrong with a line of the vendor's command-line tool, or None.

    That tool knows no action of binding, so it wants `--force` (its list lacks it) and no `--version` (it takes the
    product's). Members with a capital letter are the request's.
    """
    _, product, action, *words = shlex.split(line)
    said, at = {}, 0
    while at < len(words):
        alone = at + 1 == len(words) or words[at + 1].startswith("--")
        said[words[at]] = None if alone else words[at + 1]
        at += 1 if alone else 2
    wrong = {
        "another product than dyplsapi": product != "dyplsapi",
        "no --force": "--force" not in said or said["--force"] is not None,
        "--version": "--version" in said,
        "HTTPS, without --insecure": "--insecure" not in said,
        "another --endpoint than the service's": said.get("--endpoint") != machine.service.ready["api"],
        "no --region": not said.get("--region"),
    }
    if found := [what for what, is_so in wrong.items() if is_so]:
        return f"`{line}` has {found}"
    key = machine.key()
    gateway = Gateway(machine.service.ready["api"], key["access_key_id"], key["access_key_secret"])
    params = {name[2:]: value for name, value in said.items() if name[2:3].isupper()}
    answer = gateway.rpc(action, params).send()
    return None if answer.code == "OK" else f"`{line}` would be answered {answer}"


def run_python(machine, block):
    names = "".join(f"{name} = {value(machine)!r}\n" for name, value in PLACEHOLDERS.items())
    text = names + machine.here(block.text, placeholders=False)
    environment = "python-v2-acs3" if "alibabacloud" in text else "python-v1"
    python = REPOSITORY / ".venv" / environment / "bin" / "python"
    done = machine.run(text, (str(python), "-c"))
    machine.printed = done.stdout
    # What the service refuses comes as HTTP 200, of which a client makes no error.
    if done.returncode != 0 or not re.search(r"""["']Code["']: ?["']OK["']""", done.stdout):
        return f"{done.stdout[-1000:]}\n{done.stderr[-2000:]}\n{block.text}"
    return None


def last_object(text):
    return json.loads([line for line in text.split("\n") if line.startswith("{")][-1])


def kinds(value):
    """The members and the kinds of values, without the values."""
    if isinstance(value, dict):
        return {name: kinds(inside) for name, inside in value.items()}
    if isinstance(value, list):
        return [kinds(inside) for inside in value[:1]]
    return "OK" if value == "OK" else type(value).__name__


def compare_json(machine, block):
    if (real := block.excuse(SHOWN)) is None:
        return "where does this JSON come from? SHOWN does not say"
    shown = kinds(json.loads(block.text))
    for there in real(machine):
        if kinds(there) != shown:
            return f"shows {shown}, but what is printed is {there}"
    return None


def is_toml(block):
    return block.language == "toml" or block.language == "" and re.match(r"\s*\[\[?[a-z_.]+\]\]?\n", block.text)


def check_toml(machine, text):
    """Settings are given to `serve --check`, documents to `apply --dry-run`."""
    text = machine.here(text)
    held = tomllib.loads(text)
    file = machine.home / "block.toml"
    file.write_text(text, encoding="utf-8")
    if held and set(held) <= set(tomllib.loads(uncommented("maskline.example.toml"))):
        for section in held.values():
            make_certificate(machine, section if isinstance(section, dict) else {})
        command = f"maskline serve --check --data {machine.home}/checked --config {file}"
    elif held and set(held) <= set(tomllib.loads(uncommented("apply.example.toml"))):
        command = f"maskline apply --dry-run --data {machine.data} {file}"
    else:
        return f"{sorted(held)}: neither sections of the settings nor kinds of a document"
    done = machine.run(command)
    return None if done.returncode == 0 else f"exit code {done.returncode} of `{command}`: {done.stdout}{done.stderr}"


def make_certificate(machine, section):
    """A certificate and its key where the settings name them, as the reader has by then."""
    places = [Path(section.get(name, "")) for name in ("certificate", "private_key")]
    if not all(place.is_relative_to(machine.root) for place in places):
        return
    home = machine.home / "authority"
    home.mkdir(exist_ok=True)
    certificate, key, _ = Authority(home).signed("calls.example.com", "127.0.0.1")
    for place, made in zip(places, (certificate, key), strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        made.replace(place)


def plain(text):
    return [re.sub(r"\d+(\.\d+)?", "N", " ".join(line.split())) for line in text.split("\n") if line.strip()]


def check(machine, block):
    """What is wrong with the block, or None."""
    if block.excuse(EXCUSED):
        return None
    if command := block.excuse(PRINTED):
        printed = plain(machine.run(machine.here(command), ("bash", "-c")).stdout)
        missing = [line for line in plain(block.text) if line not in printed]
        return f"`{command}` does not print {missing}, but {printed}" if missing else None
    try:
        if is_toml(block):
            return check_toml(machine, block.text)
        if block.language == "json" or block.text.lstrip().startswith(("{", "[{")):
            return compare_json(machine, block)
    except ValueError as error:
        return str(error)
    if block.language == "ini":
        # systemd alone reads it.
        return None
    if block.language in snippets.LANGUAGES:
        # What the language's own tools say of it, where they are, has a test of its own.
        return None
    if block.language == "python":
        return run_python(machine, block)
    if block.language in ("", "sh", "bash", "console"):
        return run_commands(machine, block)
    return f"what is to be done with a block of {block.language}?"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", pages())
def test_every_block_of_a_page_runs(page, tmp_path):
    found = blocks(page)
    if not found:
        return
    wrong = []
    with Machine(tmp_path, page) as machine:
        for block in found:
            if problem := check(machine, block):
                wrong.append(f"{block}: {problem}")
        ended = [process.args for process in machine.running if process.poll() not in (None, 0)]
        if ended:
            wrong.append(f"{ended} ended: {(machine.home / 'background.log').read_text()[-2000:]}")
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("language", snippets.LANGUAGES)
def test_blocks_for_other_clients_are_what_their_languages_take(language, tmp_path):
    judge, missing = snippets.LANGUAGES[language]
    found = [block for page in pages() for block in blocks(page) if block.language == language]
    assert found, f"no page has a block of {language}"
    if why := missing():
        pytest.skip(f"{language}: {why}")
    with Machine(tmp_path, found[0].page) as machine:
        for number, block in enumerate(found):
            home = tmp_path / f"block-{number}"
            home.mkdir()
            problem = judge(block.text, home, machine)
            assert problem is None, f"{block}: {problem}"


@pytest.mark.offline
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("java", '// v1\nDefaultProfile.addEndpoint("cn-hangzhou", "Dyplsapi");\n'),
        ("java", "// v2\nnew Config().setAccessKey(id);\n"),
        ("java", "// something else\n"),
        ("go", "// v1\nclient.Domain := = 1\n"),
        ("go", "// v2, v3\n&openapi.Config{\n"),
        ("js", "// v2\nnew Config({ accessKeyId, \n"),
        ("php", "// v2\nnew Config([;\n"),
    ],
)
def test_a_block_with_a_mistake_is_found(language, text, tmp_path):
    judge, missing = snippets.LANGUAGES[language]
    if why := missing():
        pytest.skip(f"{language}: {why}")
    assert judge(text, tmp_path, None) is not None


BIND = """
from aliyunsdkcore.client import AcsClient
from aliyunsdkdyplsapi.request.v20170525 import BindAxnRequest

client = AcsClient(KEY_ID, KEY_SECRET, "cn-hangzhou")
client.add_endpoint("cn-hangzhou", "Dyplsapi", "HOST:PORT")
request = BindAxnRequest.BindAxnRequest()
request.set_PoolKey("POOL")
request.set_PhoneNoA("15000000000")
request.set_Expiration("2030-09-05 12:00:00")
print(client.do_action_with_exception(request).decode())
"""
VENDOR = (
    "aliyun dyplsapi BindAxn --insecure --endpoint HOST:PORT --region cn-hangzhou --PhoneNoA 15000000000"
    " --Expiration '2030-09-05 12:00:00'"
)
MISTAKES = [
    ("toml", '[api]\ntrusted_proxys = ["10.0.0.0/8"]\n', "trusted_proxies"),
    ("toml", '[apis]\nlisten = "127.0.0.1:8080"\n', "neither"),
    ("toml", '[api]\nlisten = "8080"\n', "the colon is missing"),
    ("toml", '[api]\ncertificate = "/nowhere/a.pem"\nprivate_key = "/nowhere/a.key"\n', "/nowhere/a.pem"),
    ("", '[sip]\nadvertize = "192.0.2.1:5060"\n', "advertised"),
    ("toml", '[[account]]\nid = "acme"\nstatuss = "active"\n', "status"),
    ("toml", '[[pool]]\nkey = "FCxyz"\naccount = "acme"\nproduct = "axn"\n', "hexadecimal"),
    ("", '[[trunk]]\nname = "carrier"\npeer = "192.0.2.10:99999"\n', "peer is not well formed"),
    ("", '{"RequestId":"…","Code":"OK"}', "SecretBindDTO"),
    ("", '{"RequestId":1,"Code":"OK","Message":"OK"}', "SecretBindDTO"),
    ("json", '{"Unknown":"…"}', "SHOWN"),
    ("python", BIND.replace("POOL", "FC99999"), "isv."),
    ("python", BIND.replace("print(", "("), "BindAxnRequest"),
    ("sh", "maskline explain 13900000000", "exit code 2"),
    ("sh", VENDOR + " --PoolKey FC12345", "no --force"),
    ("sh", VENDOR + " --PoolKey FC12345 --force --version 2017-05-25", "--version"),
    ("sh", VENDOR + " --PoolKey FC99999 --force", "would be answered"),
    ("sh", VENDOR.replace("--insecure ", "") + " --PoolKey FC12345 --force", "HTTPS"),
]


def test_a_mistake_in_a_block_of_any_kind_is_found(tmp_path):
    with Machine(tmp_path, "README.md") as machine:
        answered = Block("README.md", 1, "python", BIND.replace("POOL", "FC12345"))
        assert check(machine, answered) is None
        printed = machine.printed
        for language, text, told in MISTAKES:
            machine.printed = printed
            problem = check(machine, Block("README.md", 1, language, text))
            assert problem is not None and told in problem, f"{text}: {problem}"
        right = Block("README.md", 1, "sh", VENDOR + " --PoolKey FC12345 --force")
        assert check(machine, right) is None
        document = Block("README.md", 1, "toml", '[[account]]\nid = "another"\n')
        assert check(machine, document) is None


def test_the_tables_name_blocks_that_there_are():
    every = [block for page in pages() for block in blocks(page)]
    for page, start in [*EXCUSED, *PRINTED, *SHOWN]:
        assert any(block._is(page, start) for block in every), f"no block of {page} begins with {start}"
    for page, start in TELLS:
        lines = [line for block in every if block.page == page for line in block.text.split("\n")]
        assert any(line.startswith(start) for line in lines), f"no line of {page} begins with {start}"
    assert set(PAGES) <= set(pages())


def test_both_readmes_tell_the_same():
    english, chinese = (
        [block.text for block in blocks(page)]
        for page in ("README.md", "README.zh-CN.md")
    )
    assert english == chinese
    served = [
        re.findall(r"\b(?:Bind|Unbind|Update|Query|Lock|Unlock)[A-Z]\w+", (REPOSITORY / page).read_text(encoding="utf-8"))
        for page in ("README.md", "README.zh-CN.md")
    ]
    assert served[0] == served[1]


# The example files


def test_the_example_document_is_accepted_with_every_line_set(tmp_path):
    service = Maskline(tmp_path / "data", demo=False).start()
    try:
        for name, text in (
            ("as-it-is.toml", (REPOSITORY / "docs" / "apply.example.toml").read_text(encoding="utf-8")),
            ("every-line.toml", uncommented("apply.example.toml")),
        ):
            document = tmp_path / name
            document.write_text(text, encoding="utf-8")
            service.cli("apply", document, "--dry-run")
            service.cli("apply", document)
    finally:
        service.stop()


def test_the_example_settings_are_accepted_with_every_line_set(tmp_path):
    settings = tmp_path / "maskline.toml"
    text = uncommented("maskline.example.toml")
    # What the empty texts stand for is described beside them: files and addresses of the reader's.
    tomllib.loads(text)
    settings.write_text(text, encoding="utf-8")
    service = Maskline(tmp_path / "data", args=["--config", str(settings), "--https", "127.0.0.1:0"])
    try:
        service.start()
    finally:
        service.stop()
