"""SIGTERM: what was accepted is answered, what was answered is kept, and the process ends well."""

import http.client
import signal
import threading

import pytest

from support.gateway import bound
from support.operator import Operator
from support.process import Maskline, NotReady

CUSTOMERS = 8


@pytest.mark.parametrize("warm", [0, 40])
def test_accepted_requests_are_answered_and_kept(maskline, warm):
    world = Operator(maskline).world(numbers={"北京": 2000})
    api = world.gateway()
    answered, broken = [], []
    enough = threading.Semaphore(0)

    def customer():
        while True:
            try:
                answer = api.bind_axn()
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException) as error:
                # The listener went away between our SYN and its accept; nothing of ours was read.
                broken.append(error)
                return
            answered.append(answer)
            enough.release()

    customers = [threading.Thread(target=customer) for _ in range(CUSTOMERS)]
    for one in customers:
        one.start()
    for _ in range(warm):
        enough.acquire(timeout=30)
    code = maskline.terminate()
    for one in customers:
        one.join(30)

    assert code == 0
    told = {(answer.status, answer.code) for answer in answered}
    assert told <= {(200, "OK"), (503, "ServiceUnavailable")}, told
    maskline.start()
    api = world.gateway()
    made = [bound(answer) for answer in answered if answer.code == "OK"]
    assert len(made) >= warm
    for subs_id, x in made:
        assert api.detail(subs_id, x).data["SecretBindDetailDTO"]["Status"] == 1
    # A customer that heard nothing may have a binding, but no more than one each.
    assert len(world.bindings()) - len(made) <= len(broken)


def test_a_second_start_on_the_same_data_is_refused(maskline):
    rival = Maskline(maskline.data)
    with pytest.raises(NotReady):
        rival.start()

    assert maskline.alive
    bound(maskline.gateway().bind_axn())


def test_settings_are_read_again_on_sighup_and_a_bad_file_changes_nothing(tmp_path):
    settings = tmp_path / "maskline.toml"
    settings.write_text("[limits.actions]\nQuerySubsId = 1\n")
    service = Maskline(tmp_path / "data", args=["--config", str(settings)]).start()
    try:
        api = service.gateway()

        def refused_of_twenty():
            codes = [api.call("QuerySubsId", PhoneNoX="17000000000").code for _ in range(20)]
            return codes.count("isv.FLOW_LIMIT")

        assert refused_of_twenty() > 0
        settings.write_text("[limits.actions]\nQuerySubsId = \"many\"\n")
        reload(service, "maskline.toml:2")
        assert refused_of_twenty() > 0
        settings.write_text("[limits.actions]\nQuerySubsId = 0\n")
        reload(service, "settings read again")
        assert refused_of_twenty() == 0
    finally:
        service.stop()


def test_the_log_speaks_louder_after_sighup(tmp_path):
    settings = tmp_path / "maskline.toml"
    settings.write_text('[log]\nlevel = "info"\n')
    service = Maskline(tmp_path / "data", args=["--config", str(settings)]).start()
    try:
        bound(service.gateway().bind_axn())
        assert "answered" not in service.log_path.read_text()
        settings.write_text('[log]\nlevel = "debug"\n')
        reload(service, "settings read again")
        bound(service.gateway().bind_axn(a="13900003333"))
        service.await_log("answered")
        assert "13900003333" not in service.log_path.read_text()
    finally:
        service.stop()


def reload(service, told):
    """Sends SIGHUP and waits for the line that says what came of it."""
    before = service.log_path.stat().st_size
    service.process.send_signal(signal.SIGHUP)
    service.await_log(told, after=before)
