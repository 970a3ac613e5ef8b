"""A renewed certificate reaches a service whose user is nobody in particular, as the packaged unit runs it.

No systemd is at hand where the tests run: the process gets a user and a supplementary group here as the unit
would give them, and `systemctl` is a script that sends what `ExecReload` says.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess

import pytest

from support.process import REPOSITORY
from support.supervisor import Supervisor, unit

ANY = "127.0.0.1:0"
USER, GROUP, TLS_GROUP = 61_184, 61_184, 61_999

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="users and groups can only be given by root")


def make(folder, name):
    """A certificate of its own, as a renewal leaves it: for root alone."""
    folder.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        + ["-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"],
        check=True,
        capture_output=True,
    )
    os.chmod(folder / "privkey.pem", 0o600)
    return ssl.PEM_cert_to_DER_cert((folder / "fullchain.pem").read_text())


def shown(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link, context.wrap_socket(link) as tls:
        return tls.getpeercert(binary_form=True)


@needs_root
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_renewed_certificate_is_taken_over_by_a_service_without_a_fixed_user(open_path):
    tls = open_path / "tls"
    tls.mkdir()
    os.chown(tls, 0, TLS_GROUP)
    os.chmod(tls, 0o750)
    state = open_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, USER, GROUP)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = open_path / "maskline.toml"
    settings.write_text(
        f'[api]\nhttps = "127.0.0.1:{port}"\n'
        f'certificate = "{tls}/fullchain.pem"\nprivate_key = "{tls}/privkey.pem"\n'
    )
    renewals = open_path / "live"

    [reload] = unit()["Service", "ExecReload"]
    assert reload == "/bin/kill -HUP $MAINPID"
    bin_folder = open_path / "bin"
    bin_folder.mkdir()

    def deploy(pid=None):
        systemctl = bin_folder / "systemctl"
        sent = f"kill -HUP {pid}" if pid else "true"
        systemctl.write_text(f'#!/bin/sh\n[ "$*" = "try-reload-or-restart maskline" ] || exit 3\n{sent}\n')
        systemctl.chmod(0o755)
        subprocess.run(
            [REPOSITORY / "packaging" / "deploy-certificate"],
            check=True,
            env={
                "PATH": f"{bin_folder}:{os.environ['PATH']}",
                "RENEWED_LINEAGE": str(renewals),
                "CERTIFICATE_DIR": str(tls),
                "CERTIFICATE_GROUP": str(TLS_GROUP),
            },
        )

    first = make(renewals, "first")
    deploy()
    assert (tls / "privkey.pem").stat().st_mode & 0o777 == 0o640
    identity = {"user": USER, "group": GROUP, "extra_groups": [TLS_GROUP]}
    listeners = ["--api", ANY, "--admin", ANY, "--sip", ANY]
    arguments = ["--data", state / "data", "--config", settings, *listeners]
    with Supervisor(*arguments, identity=identity) as service:
        service.await_event("told", "READY=1")
        assert shown(port) == first
        renewed = make(renewals, "renewed")
        deploy(service.process.pid)
        service.await_event("told", "RELOADING=1")
        service.await_event("told", "READY=1")
        assert shown(port) == renewed
        # Half a renewal changes nothing.
        (tls / "privkey.pem").write_text("nonsense")
        service.process.send_signal(signal.SIGHUP)
        service.await_event("told", "RELOADING=1")
        service.await_event("told", "READY=1")
        assert "everything stays as it was" in service.log()
        assert shown(port) == renewed
    # Without the group the files are not there for the service: it waits, and says which.
    with Supervisor(*arguments, identity={**identity, "extra_groups": []}) as service:
        service.await_event("ended", 75)
        assert "api.certificate" in service.log() and "Permission denied" in service.log()
