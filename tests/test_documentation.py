"""Every block of README and docs, as a reader would follow it, and the example files.

A new page or block is found by itself. A block of commands is run, TOML and JSON are read, Python is run with the
vendor's own packages. What cannot be run carries its reason in one of the short tables below; a block that is
neither run nor excused fails.

The commands see a machine of the page's own: what they say of /etc, /var/lib, /usr/local and /backup lies under a
temporary directory, `sudo` is nobody, and the ports are those of a service that was started for the page.
"""

import json
import os
import re
import subprocess
import tomllib

import pytest

from calls.addresses import free_port
from support import snippets
from support.process import REPOSITORY, Maskline, binary, clean_environment

# Directories whose pages are reports of what was run, not something to follow.
REPORTS = {"docs/campaigns"}
BLOCK_S = 100

# Programs whose lines are left out, and why.
CANNOT_RUN = {
    "apt-get": "installs software on the machine",
    "aliyun": "the vendor's command line is in no registry that the tests use: Go's proxy has no version of it",
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
    ("docs/install.md", "[api]"): "names certificates that nobody made; test_certificates.py has some",
    ("docs/install.md", "sudo maskline-deploy-certificate"): "test_certificates.py runs it",
    ("docs/install.md", "sudo ln -s"): "certbot is not on the machine",
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


class Block:
    def __init__(self, page, line, language, text):
        self.page, self.line, self.language, self.text = page, line, language, text

    def __str__(self):
        return f"{self.page}:{self.line}"

    def excuse(self, table):
        return next((why for (page, start), why in table.items() if self._is(page, start)), None)

    def _is(self, page, start):
        return page == self.page and self.text.strip().startswith(start)


def pages():
    found = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    names = sorted(str(page.relative_to(REPOSITORY)) for page in found)
    return [name for name in names if not any(name.startswith(kept) for kept in REPORTS)]


def blocks(page):
    """The fenced and the indented blocks of a page, in order."""
    lines = (REPOSITORY / page).read_text(encoding="utf-8").split("\n")
    found, at = [], 0
    while at < len(lines):
        begun = at
        if fence := re.match(r"(\s*)(```+|~~~+)\s*(\w*)", lines[at]):
            at += 1
            while not lines[at].strip().startswith(fence[2]):
                at += 1
            inside = [line[len(fence[1]) :] for line in lines[begun + 1 : at]]
            found.append(Block(page, begun + 1, fence[3], "\n".join(inside)))
            at += 1
        elif lines[at].startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            found.append(Block(page, begun + 1, "", "\n".join(line[4:] for line in lines[begun:at]).rstrip()))
        else:
            at += 1
    return found


class Machine:
    """What the reader of one page sits at."""

    def __init__(self, home, page):
        self.home, self.page = home, page
        self.root = home / "root"
        self.desk = home / "maskline"
        for place in ("etc/systemd/system", "etc/maskline", "usr/local/bin", "var/lib/maskline", "backup", "safe"):
            (self.root / place).mkdir(parents=True)
        self.desk.mkdir()
        for name in ("docs", "packaging", "Makefile", "README.md", "scripts"):
            (self.desk / name).symlink_to(REPOSITORY / name)
        (self.desk / "target" / "release").mkdir(parents=True)
        (self.desk / "target" / "release" / "maskline").symlink_to(binary())
        self.tools = home / "bin"
        self.tools.mkdir()
        (self.tools / "maskline").symlink_to(binary())
        simulator = binary().with_name("maskline-sim")
        # The counts of its pages are meant for an optimized build.
        if simulator.exists() and simulator.parent.name == "release":
            (self.tools / "maskline-sim").symlink_to(simulator)
        sudo = self.tools / "sudo"
        sudo.write_text('#!/bin/sh\nexec "$@"\n')
        sudo.chmod(0o755)
        where, self.kind = PAGES.get(page, ORDINARY)
        self.data = (self.root if where.startswith("var") else self.desk) / where
        self.service = Maskline(self.data, demo=self.kind == DEMO)
        self.phone_port = free_port("127.0.0.1")
        self.running = []
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
            (self.desk / "numbers.csv").write_text("number,city\n17000200000,北京\n", encoding="utf-8")
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
            [*program, script], cwd=self.desk, env=clean_environment(PATH=path, HOME=str(self.home)),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BLOCK_S,
        )  # fmt: skip

    def start(self, line):
        path = f"{self.tools}:{os.environ['PATH']}"
        log = open(self.home / "background.log", "ab")
        self.running.append(
            subprocess.Popen(
                ["bash", "-c", f"exec {line}"], cwd=self.desk, env=clean_environment(PATH=path, HOME=str(self.home)),
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
        if "maskline-sim" in programs and not (machine.tools / "maskline-sim").exists():
            continue
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


def run_python(machine, block):
    names = "".join(f"{name} = {value(machine)!r}\n" for name, value in PLACEHOLDERS.items())
    text = names + machine.here(block.text, placeholders=False)
    environment = "python-v2-acs3" if "alibabacloud" in text else "python-v1"
    python = REPOSITORY / ".venv" / environment / "bin" / "python"
    done = machine.run(text, (str(python), "-c"))
    if done.returncode != 0:
        return f"{done.stderr[-2000:]}\n{block.text}"
    return None


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
        if block.language == "toml":
            tomllib.loads(block.text)
            return None
        if block.language == "json" or block.text.lstrip().startswith(("{", "[{")):
            json.loads(block.text)
            return None
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


def test_the_tables_name_blocks_that_there_are():
    every = [block for page in pages() for block in blocks(page)]
    for page, start in [*EXCUSED, *PRINTED]:
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


# The example files


def uncommented(name):
    """The file with every setting that stands in a comment set, and what some of them want beside them."""
    text = (REPOSITORY / "docs" / name).read_text(encoding="utf-8")
    # A name in a certificate goes with TLS alone.
    text = text.replace('transport = "udp"', 'transport = "tls"')
    return re.sub(r"(?m)^# ?(?=[a-z_0-9]+ = )", "", text)


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
