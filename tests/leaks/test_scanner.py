"""Every disguise is seen through, and nothing else is taken for one."""

import json
from pathlib import Path

import pytest
from leaks.scanner import Scanner, Secret

EXAMPLES = json.loads(Path(__file__).with_name("disguises.json").read_text())
pytestmark = pytest.mark.offline


@pytest.fixture(scope="module")
def scanner():
    return Scanner({Secret(row["kind"], row["secret"]) for row in EXAMPLES["found"]})


@pytest.mark.parametrize("row", EXAMPLES["found"], ids=lambda row: f"{row['kind']}: {row['how']}")
def test_disguise_is_seen_through(scanner, row):
    data = bytes.fromhex(row["hex"]) if "hex" in row else row["text"].encode()
    found = [finding.secret for finding in scanner.scan(data)]
    assert found == [Secret(row["kind"], row["secret"])]


@pytest.mark.parametrize("text", EXAMPLES["innocent"])
def test_what_is_no_disguise_is_let_pass(scanner, text):
    assert scanner.scan(text.encode()) == []
