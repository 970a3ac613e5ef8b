#!/usr/bin/env python3
"""Writes a data directory that holds something of everything, for releases to come to open.

With it goes what the program that wrote it tells of it, `told.json`: the next releases must tell the same. So do its
canaries, texts that a byte search finds in the directory as long as nothing there is sealed.

    python3 tests/past/make.py tests/past/form-2.tar.xz

It runs the binary under test (MASKLINE_TEST_BIN, else the development build), and takes two minutes. An archive is made
once for each form of the data and never anew: the bytes of the older program are what counts. These were made:

| archive | by the program of | what its bytes are |
|---|---|---|
| form-1.tar.xz | f682dd2 | journal, personal values, snapshots: form 1; migrations up to 5; no canaries |
| form-2.tar.xz | bdb1d88 | the same: form 2; migrations up to 9; no value of a person is sealed |
"""

import argparse
import json
import shutil
import sqlite3
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from carriers.simulated import SimulatedCarrier  # noqa: E402
from past.clear import Canaries, found_in  # noqa: E402
from past.contents import SNAPSHOT_EVERY, fill  # noqa: E402
from past.told import told_of  # noqa: E402
from support.process import Maskline  # noqa: E402

SETTINGS = f"""
[journal]
snapshot_every_batches = {SNAPSHOT_EVERY}

[jobs]
enabled = true
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path, help="where to write it, such as tests/past/form-2.tar.xz")
    archive = parser.parse_args().archive.resolve()
    with tempfile.TemporaryDirectory(prefix="past-") as scratch:
        home = Path(scratch)
        settings = home / "settings.toml"
        settings.write_text(SETTINGS)
        service = Maskline(home / "data", args=["--config", str(settings)]).start()
        carrier = SimulatedCarrier(home, "unicom").start()
        canaries = Canaries()
        try:
            fill(service, carrier, canaries)
            told = {**told_of(service), "canaries": canaries.told()}
            # As after a crash: the newest batches are in no snapshot.
            service.kill()
        finally:
            service.stop()
            carrier.close()
        check(home / "data", told)
        (home / "told.json").write_text(json.dumps(told, ensure_ascii=False))
        with tarfile.open(archive, "w:xz", preset=9) as packed:
            for name in ("data", "data.key", "told.json"):
                packed.add(home / name, name)


def check(data, told):
    """That it holds what it is made for."""
    phases = sorted({one["provision"]["phase"] for one in told["every binding"] if one["provision"]})
    assert phases == ["changing", "confirmed", "releasing", "renewing", "reserved"], phases
    for kind, wanted in told["canaries"].items():
        found, all_of_them = found_in(data, wanted), [one["what"] for one in wanted]
        assert found == (all_of_them if kind == "clear" else []), (kind, found, all_of_them)
    # A copy, since to look at the database changes its files.
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copytree(data, Path(scratch) / "data")
        database = sqlite3.connect(copy / "maskline.db")
        snapshots = [seq for (seq,) in database.execute("SELECT DISTINCT seq FROM snapshot ORDER BY seq")]
        [(newest,)] = database.execute("SELECT max(seq) FROM journal")
        database.close()
    assert len(snapshots) == 2 and newest > snapshots[-1] + 10, (snapshots, newest)


if __name__ == "__main__":
    main()
