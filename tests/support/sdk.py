"""The official clients as subprocesses, each from its own pinned environment.

A runner in tests/clients gets a plan on standard input:

    {"endpoint": "HOST:PORT", "scheme": "http" | "https", "ca_file": PATH or null,
     "format": "JSON" | "XML", "method": "GET" | "POST", "at_once": BOOLEAN (Node alone),
     "calls": [{"action": ..., "params": {...}, "key_id": ..., "secret": ...}]}

and prints one line per call: {"returned": TYPE, "body": TEXT} or
{"raised": TYPE, "code": CODE, "message": TEXT, "status": HTTP}.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass

from support.process import REPOSITORY

JAVA = REPOSITORY / "tests" / "clients" / "java"
CLIENTS = REPOSITORY / "tests" / "clients"


@dataclass(frozen=True)
class Sdk:
    name: str
    command: tuple
    method: str = "POST"

    def __str__(self):
        return self.name


def _python(environment, program):
    return (str(REPOSITORY / ".venv" / environment / "bin" / "python"), str(CLIENTS / program))


def _node():
    return ("node", str(CLIENTS / "pop_core" / "client.js"))


def _java(runner, argument):
    """The classpath is read when the client runs: where Java is not, there is none."""
    return ("java", "-XX:TieredStopAtLevel=1", "-cp", "{java}", f"clients.{runner}", argument)


def java_is_missing():
    """Why the Java clients cannot run here, in a word; None when they can."""
    if shutil.which("java") is None:
        return "no java here"
    if not (JAVA / "target" / "classpath.txt").is_file():
        return "the Java clients are not built: scripts/install-test-tools, with Maven and Java 11 or later"
    return None


def _classpath():
    libraries = (JAVA / "target" / "classpath.txt").read_text().strip()
    return f"{JAVA / 'target' / 'classes'}{os.pathsep}{libraries}"


PYTHON_V1 = Sdk("python-v1", _python("python-v1", "python_v1.py"))
PYTHON_V2_RPC = Sdk("python-v2-rpc", _python("python-v2-rpc", "python_v2.py"))
PYTHON_V2_ACS3 = Sdk("python-v2-acs3", _python("python-v2-acs3", "python_v2.py"))
POP_CORE_GET = Sdk("pop-core-get", _node(), "GET")
POP_CORE_POST = Sdk("pop-core-post", _node(), "POST")
JAVA_ASYNC_QUERY = Sdk("java-async-query", _java("AsyncCore", "query"))
JAVA_ASYNC_FORM = Sdk("java-async-form", _java("AsyncCore", "form"))
JAVA_V1_RPC = Sdk("java-v1-rpc", _java("V1", "rpc"))
JAVA_V1_V3 = Sdk("java-v1-v3", _java("V1", "v3"))
ALL_JAVA = (JAVA_ASYNC_QUERY, JAVA_ASYNC_FORM, JAVA_V1_RPC, JAVA_V1_V3)
ALL = (PYTHON_V1, PYTHON_V2_RPC, PYTHON_V2_ACS3, POP_CORE_GET, POP_CORE_POST)


def run(sdk, gateway, calls, format="JSON", at_once=False):
    """One process of `sdk` makes all `calls`, in turn or at once; a call may name another key_id or secret."""
    assert not at_once or sdk in (POP_CORE_GET, POP_CORE_POST), f"{sdk} calls in turn"
    plan = {
        "endpoint": f"{gateway.host}:{gateway.port}",
        "scheme": gateway.scheme,
        "ca_file": str(gateway.ca_file) if gateway.ca_file else None,
        "format": format,
        "method": sdk.method,
        "at_once": at_once,
        "calls": [
            {"key_id": gateway.key_id, "secret": gateway.secret, **call} for call in calls
        ],
    }
    command = [_classpath() if part == "{java}" else part for part in sdk.command]
    done = subprocess.run(
        command,
        input=json.dumps(plan),
        capture_output=True,
        text=True,
        timeout=90,
        env=environment(gateway.ca_file),
    )
    assert done.returncode == 0, f"{sdk}: {done.stderr}"
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(outcomes) == len(calls), f"{sdk}: {done.stdout}\n{done.stderr}"
    return outcomes


def environment(ca_file):
    """What a customer's machine has: no proxy in between, and our authority for Node."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    if ca_file:
        kept["NODE_EXTRA_CA_CERTS"] = str(ca_file)
    return kept
