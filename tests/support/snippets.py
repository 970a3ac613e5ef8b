"""What the pages show in languages of other clients, judged by those languages' own tools.

A block of these holds a piece for each client, which begins with a comment that names it. A piece is no program: it
is put into one here. Where the client is among those of the tests it is compiled against it, or run; where it is
not, its grammar alone is looked at.
"""

import json
import os
import re
import shutil
import subprocess

from support import sdk
from support.process import REPOSITORY

TOOL_S = 100
NODE_CLIENT = REPOSITORY / "tests" / "clients" / "pop_core"

JAVA_FRAMES = {
    "v1": """
import com.aliyuncs.profile.DefaultProfile;

final class Piece {
    static void run() throws Exception {
PIECE
    }
}
""",
    # This client is not among those of the tests: the one class that the piece names stands here in its place.
    "v2": """
final class Config {
    Config setAccessKeyId(String it) { return this; }
    Config setAccessKeySecret(String it) { return this; }
    Config setEndpoint(String it) { return this; }
    Config setProtocol(String it) { return this; }
}

final class Piece {
    static void run(String id, String secret) {
PIECE
    }
}
""",
    "asynchronous core": """
import com.aliyun.auth.credentials.provider.ICredentialProvider;
import com.aliyun.sdk.gateway.pop.clients.CommonAsyncClient;
import darabonba.core.client.ClientOverrideConfiguration;

final class Piece {
    static void run(ICredentialProvider credentials) {
PIECE
    }
}
""",
}
GO_FRAMES = {
    "v1": "package piece\n\nfunc piece() {\nPIECE\n}\n",
    "v2, v3": "package piece\n\nvar _ = PIECE\n",
}
NODE_RUN = """
const {{ RPCClient }} = require('@alicloud/pop-core');
const {{ accessKeyId, accessKeySecret }} = {key};
const client =
{piece};
client.request('BindAxn', {{ PoolKey: '{pool}', PhoneNoA: '15000000000', Expiration: '2030-09-05 12:00:00' }},
    {{ method: 'POST' }})
    .then((answer) => console.log(answer.Code)).finally(() => client.keepAliveAgent.destroy());
"""


def pieces(text):
    """The name of each piece, and its lines after the comment that names it."""
    found = re.split(r"(?:\A|\n\n)// (.+)\n", text)
    assert not found[0].strip(), f"a piece without a name: {found[0]}"
    return list(zip(found[1::2], found[2::2], strict=True))


def frame_of(frames, name):
    return next((frame for start, frame in frames.items() if name.startswith(start)), None)


def _tool(command, home, says="", **more):
    """What the tool has against it, or that it did not say what it should; else None."""
    done = subprocess.run(
        [str(word) for word in command], cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=TOOL_S, **more,
    )  # fmt: skip
    said_it = done.returncode == 0 and says in done.stdout.split("\n") + [""]
    return None if said_it else f"{done.stdout}{done.stderr}"[-2000:]


def java(text, home, _):
    for number, (name, piece) in enumerate(pieces(text)):
        frame = frame_of(JAVA_FRAMES, name)
        if frame is None:
            return f"what is to be done with `// {name}`?"
        place = home / f"java-{number}"
        place.mkdir()
        (place / "Piece.java").write_text(frame.replace("PIECE", piece), encoding="utf-8")
        libraries = (sdk.JAVA / "target" / "classpath.txt").read_text().strip()
        if problem := _tool(["javac", "-J-XX:TieredStopAtLevel=1", "-cp", libraries, "-d", place, "Piece.java"], place):
            return f"{name}: {problem}"
    return None


def go(text, home, _):
    for number, (name, piece) in enumerate(pieces(text)):
        frame = frame_of(GO_FRAMES, name)
        if frame is None:
            return f"what is to be done with `// {name}`?"
        path = home / f"piece-{number}.go"
        path.write_text(frame.replace("PIECE", piece.strip()), encoding="utf-8")
        if problem := _tool(["gofmt", "-e", "-l", path], home):
            return f"{name}: {problem}"
    return None


def node(text, home, machine):
    for number, (name, piece) in enumerate(pieces(text)):
        path = home / f"piece-{number}.js"
        if name != "@alicloud/pop-core":
            path.write_text(piece, encoding="utf-8")
            if problem := _tool(["node", "--check", path], home):
                return f"{name}: {problem}"
            continue
        key = machine.key()
        said = {"accessKeyId": key["access_key_id"], "accessKeySecret": key["access_key_secret"]}
        script = NODE_RUN.format(key=json.dumps(said), piece=piece.strip(), pool=key["pool_key"])
        path.write_text(machine.here(script, placeholders=False), encoding="utf-8")
        libraries = {**os.environ, "NODE_PATH": str(NODE_CLIENT / "node_modules")}
        if problem := _tool(["node", path], home, says="OK", env=libraries):
            return f"{name}: {problem}"
    return None


def php(text, home, _):
    path = home / "piece.php"
    path.write_text(f"<?php\n{text}\n", encoding="utf-8")
    return _tool(["php", "-l", path], home)


def _missing(*programs):
    return next((f"no {program} here" for program in programs if shutil.which(program) is None), None)


# How a language is judged, and why it cannot be here.
LANGUAGES = {
    "java": (java, lambda: _missing("javac") or sdk.java_is_missing()),
    "go": (go, lambda: _missing("gofmt")),
    "js": (node, lambda: _missing("node")),
    "php": (php, lambda: _missing("php")),
}
