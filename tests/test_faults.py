"""Faults of the machine: a full disk, a store that does not answer. An error, never a false OK."""

import os
import subprocess
import threading
import time

import pytest

from support.gateway import bound
from support.operator import Operator
from support.process import Maskline

BEIJING = "北京"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with a few megabytes, which a test can fill to the last byte."""
    place = tmp_path / "disk"
    place.mkdir()
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    mounted = subprocess.run(
        [*root, "mount", "-t", "tmpfs", "-o", "size=16m,mode=777", "maskline-test", str(place)],
        capture_output=True,
        text=True,
    )
    assert mounted.returncode == 0, f"a small file system is needed here: {mounted.stderr}"
    yield place
    subprocess.run([*root, "umount", "--lazy", str(place)], check=True)


@pytest.fixture
def cramped(small_disk):
    service = Maskline(small_disk / "data")
    yield service.start()
    service.stop()


def fill(place):
    """A file that takes all the space that is left."""
    filler = place / "filler"
    with open(filler, "wb", buffering=0) as out:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    out.write(b"\0" * size)
            except OSError:
                continue
    return filler


def test_full_disk_is_a_database_error_and_ends_with_the_space(cramped, small_disk):
    world = Operator(cramped).world(numbers={BEIJING: 900})
    api = world.gateway()
    subs_id, x = bound(api.bind_axn())
    before = world.inventory()
    filler = fill(small_disk)

    # The log file of SQLite is reused, so a few binds may still find room.
    refused = None
    acknowledged = []
    for _ in range(800):
        answer = api.bind_axn()
        if answer.code == "OK":
            acknowledged.append(bound(answer))
            before = world.inventory()
            continue
        refused = answer
        break

    assert refused is not None, "the disk was never full"
    assert (refused.status, refused.code) == (200, "isp.DAO_EXCEPTION"), str(refused)
    assert world.inventory() == before
    assert api.detail(subs_id, x).code == "OK", "reads go on"

    filler.unlink()
    made = first_success(api)

    assert cramped.alive
    cramped.restart()
    api = world.gateway()
    for kept in [(subs_id, x), *acknowledged, made]:
        assert api.detail(*kept).data["SecretBindDetailDTO"]["Status"] == 1


def first_success(api, seconds=20):
    """Binds until one succeeds: how soon the service tries again is its own affair."""
    deadline = time.monotonic() + seconds
    while True:
        answer = api.bind_axn()
        if answer.code == "OK":
            return bound(answer)
        assert answer.code == "isp.DAO_EXCEPTION", str(answer)
        assert time.monotonic() < deadline, "the service did not recover"
        time.sleep(0.1)


def test_more_than_the_writer_takes_is_a_system_error(tmp_path):
    """A queue of one, many callers at once: some are told to come again, none gets a false OK."""
    service = Maskline(tmp_path / "data")
    service.start()
    try:
        world = Operator(service).world(numbers={BEIJING: 200})
        service.env = {"MASKLINE_WRITER_QUEUE_MAX": "1", "MASKLINE_WRITER_BATCH_MAX": "1"}
        service.restart()

        answers = at_once(64, world.gateway().bind_axn)
        codes = [answer.code for answer in answers]

        assert set(codes) == {"OK", "isp.SYSTEM_ERROR"}, set(codes)
        assert all(answer.status == 200 for answer in answers)
        assert len(world.bindings()) == codes.count("OK")
    finally:
        service.stop()


def at_once(count, call):
    """The answers of so many calls, let go at the same moment."""
    gate = threading.Barrier(count)
    answers = [None] * count

    def one(place):
        gate.wait()
        answers[place] = call()

    threads = [threading.Thread(target=one, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
