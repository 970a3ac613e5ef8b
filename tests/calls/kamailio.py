"""Kamailio as a plain proxy: requests for us go to Maskline, requests of Maskline to the phones' port."""

import subprocess

from calls.addresses import await_listening, free_port

# `dst_uri` names the next hop; Record-Route keeps later requests on this way.
CONFIG = """
#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=2
auto_aliases=no
disable_tcp=yes
listen=udp:{host}:{port}
mpath="{modules}"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
modparam("rr", "enable_full_lr", 1)
modparam("rr", "append_fromtag", 0)

request_route {{
    if (!mf_process_maxfwd_header("70")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    {forget_hops}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) {{
            t_relay();
            exit;
        }}
        if (is_method("ACK")) {{
            if (t_check_trans()) t_relay();
            exit;
        }}
        sl_send_reply("404", "Not here");
        exit;
    }}
    if (is_method("OPTIONS")) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    record_route();
    {routes}
    t_relay();
}}
"""
TO_AND_FRO = """
    if (src_ip == {service_host} && src_port == {service_port}) {{
        $du = "sip:{phones}";
    }} else {{
        $du = "sip:{service}";
    }}"""
# A carrier all of whose subscribers forward: what it is sent comes back, as a call to another number, with
# all hops still to go.
FORWARDS = """
    $du = "sip:{service}";
    {turns}"""
FORGETS_HOPS = """
    remove_hf("Max-Forwards");
    append_hf("Max-Forwards: 70\\r\\n");"""


class Kamailio:
    """One proxy in front of the service at `service` (HOST:PORT), with the phones at `phones`."""

    def __init__(self, place, host, service, phones, port=None):
        self.host, self.port = host, port or free_port(host)
        service_host, _, service_port = service.rpartition(":")
        routes = TO_AND_FRO.format(
            service=service, service_host=service_host, service_port=service_port, phones=phones
        )
        self._start(place, routes)

    @classmethod
    def forwarding(cls, place, host, service, forwards, port=None):
        """A carrier whose subscribers all forward, by a table of numbers."""
        self = cls.__new__(cls)
        self.host, self.port = host, port or free_port(host)
        turns = "\n    ".join(
            f'if ($rU == "{one}") {{ $rU = "{other}"; t_relay(); exit; }}' for one, other in forwards.items()
        )
        self._start(place, FORWARDS.format(service=service, turns=turns), FORGETS_HOPS)
        return self

    def _start(self, place, routes, forget_hops=""):
        config = place / "kamailio.cfg"
        config.write_text(
            CONFIG.format(
                host=self.host, port=self.port, modules=modules(), routes=routes, forget_hops=forget_hops,
            )
        )
        self.log_path = place / "kamailio.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["kamailio", "-DD", "-E", "-f", config, "-m", "64", "-M", "8", "-w", place, "-Y", place,
                 "-P", place / "kamailio.pid"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self):
        try:
            await_listening(self.host, self.port, process=self.process)
        except AssertionError as error:
            raise AssertionError(self.log_path.read_text()[-3000:]) from error
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def modules():
    """The directory of its modules, which differs between machines."""
    listed = subprocess.run(["dpkg", "-L", "kamailio"], capture_output=True, text=True, check=True).stdout
    [tm] = [line for line in listed.splitlines() if line.endswith("/tm.so")]
    return tm.removesuffix("/tm.so")
