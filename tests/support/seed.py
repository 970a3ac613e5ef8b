"""The starting document's program, run as its user would run it."""

import ast
import json
import subprocess

from support import sdk
from support.process import REPOSITORY

SEED = REPOSITORY / "tests" / "seed"
PROGRAM = SEED / "bind_axn.py"


def run_program(service, program=PROGRAM):
    """What the program printed, decoded."""
    python = sdk.PYTHON_V1.command[0]
    done = subprocess.run(
        [python, str(program)],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            **sdk.environment(None),
            "DEMO_JSON": str(service.data / "demo.json"),
            "ENDPOINT": service.ready["api"],
        },
    )
    assert done.returncode == 0, done.stderr
    return json.loads(ast.literal_eval(done.stdout))
