"""The starting document's own program binds, and what it was told is true after a kill -9.

tests/seed holds the program as printed, the corrected one, and the difference between the two.
"""

import subprocess

from support.seed import PROGRAM, SEED, run_program

PAGE_EXPIRATION = "2017-09-18 17:00:00"
OUR_EXPIRATION = "2099-09-18 17:00:00"


def test_binding_of_the_page_survives_kill_9(maskline):
    answer = run_program(maskline)
    maskline.kill()

    assert answer["Code"] == "OK", answer
    dto = answer["SecretBindDTO"]
    assert dto["SecretNo"] and dto["SubsId"]

    maskline.start()
    detail = maskline.gateway().detail(dto["SubsId"], dto["SecretNo"])

    assert detail.code == "OK", str(detail)
    held = detail.data["SecretBindDetailDTO"]
    assert held["SubsId"] == dto["SubsId"]
    assert held["PhoneNoX"] == dto["SecretNo"]
    assert held["PhoneNoA"] == "15905712037"
    assert held["PhoneNoB"] == "17005710796"
    assert held["ExpireDate"] == OUR_EXPIRATION
    assert held["NeedRecord"] is False
    assert held["Status"] == 1


def test_expiration_as_printed_is_in_the_past(maskline, tmp_path):
    text = PROGRAM.read_text(encoding="utf-8")
    assert OUR_EXPIRATION in text
    program = tmp_path / "bind_axn.py"
    program.write_text(text.replace(OUR_EXPIRATION, PAGE_EXPIRATION), encoding="utf-8")

    answer = run_program(maskline, program)

    assert answer["Code"] == "isv.EXPIRE_DATE_ILLEGAL", answer
    assert "SecretBindDTO" not in answer


def test_kept_difference_is_the_difference():
    made = subprocess.run(
        ["diff", "-u", "--label", "bind_axn_page.txt", "--label", "bind_axn.py"]
        + ["bind_axn_page.txt", "bind_axn.py"],
        cwd=SEED,
        capture_output=True,
        text=True,
    )

    assert made.stdout == (SEED / "bind_axn.diff").read_text(encoding="utf-8")


def test_program_differs_only_in_what_a_customer_must_change():
    """Key, endpoint, PoolKey, Expiration, and the page's coding errors: nothing else."""
    made = subprocess.run(
        ["diff", "-w", "bind_axn_page.txt", "bind_axn.py"], cwd=SEED, capture_output=True, text=True
    )
    removed = [line[2:] for line in made.stdout.splitlines() if line.startswith("< ")]
    added = [line[2:].strip() for line in made.stdout.splitlines() if line.startswith("> ")]

    assert removed == [
        'ACCESS_KEY_ID = "$yourAccessKeyId"',
        'ACCESS_KEY_SECRET = "$yourAccessKeySecret"',
        'request.setPoolKey("FC133455");',
        'bind_axn_request.set_Expiration("2017-09-18 17:00:00");',
        "if __name__ == 'bind_axn_demo':",
        "print bind_axn_demo()",
    ]
    assert added == [
        "import json",
        "import os",
        'DEMO = json.load(open(os.environ.get("DEMO_JSON", "maskline-data/demo.json")))',
        'ACCESS_KEY_ID = DEMO["access_key_id"]',
        'ACCESS_KEY_SECRET = DEMO["access_key_secret"]',
        'acs_client.add_endpoint(REGION, "Dyplsapi", os.environ.get("ENDPOINT", "127.0.0.1:8080"))',
        'bind_axn_request.set_PoolKey(DEMO["pool_key"]);',
        'bind_axn_request.set_Expiration("2099-09-18 17:00:00");',
        "if __name__ == '__main__':",
        "print(bind_axn_demo())",
    ]
