"""What a sipp does, step by step, written as its XML.

    Script("busy").hears("INVITE").says(180).says(486).hears("ACK")
    Script("caller").dials().hears(100, optional=True).hears(404).acks()

A caller's number is [caller], the number that it dials [service]; a callee's number is taken from what
was dialled. The port that the other side wants for media is written to [fifo] whenever it is told.
"""

from xml.sax.saxutils import escape

SDP = """v=0
o=- 53655765 2353687637 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [own_media_port] RTP/AVP {payloads}
{attributes}
"""
A_LAW = ("8 101", ["a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15"])
G729_ONLY = ("18", ["a=rtpmap:18 G729/8000"])
REASONS = {100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK"}
TELLS_PORT = """
      <ereg regexp="m=audio ([0-9]+) " search_in="body" check_it="false" assign_to="line,port"/>
      <exec command="echo [$port] > [fifo]"/>"""


def sdp(codecs=A_LAW):
    payloads, attributes = codecs
    return SDP.format(payloads=payloads, attributes="\n".join(attributes))


class Script:
    def __init__(self, name):
        self.name = name
        self.steps = []
        self.invite_at = None
        self.cseq = 0
        self.variables = []
        self.notes = []

    def _add(self, xml):
        self.steps.append(xml)
        return self

    def _send(self, lines, body="", retrans=False):
        lines = [line for line in lines if line]
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append("Content-Length: [len]")
        text = "\n".join(lines) + "\n\n" + body
        repeat = ' retrans="500"' if retrans else ""
        return self._add(f"  <send{repeat}><![CDATA[\n{text}]]></send>")

    # The caller

    def _request(self, method, branch, cseq, tagged=True, uri="[next_url]", extra=(), body="", retrans=True):
        to = "To: <sip:[service]@[remote_ip]:[remote_port]>" + ("[peer_tag_param]" if tagged else "")
        return self._send(
            [
                f"{method} {uri} SIP/2.0",
                f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch};rport",
                "[routes]" if tagged else "",
                "From: [from]<sip:[caller]@[from_host]>;tag=[call_number]-[pid]",
                to,
                "Call-ID: [call_id]",
                f"CSeq: {cseq} {method}",
                "Contact: <sip:[caller]@[local_ip]:[local_port];transport=[transport]>" if method == "INVITE" else "",
                "Max-Forwards: 70",
                *extra,
            ],
            body,
            retrans,
        )

    def dials(self, codecs=A_LAW, extra=()):
        self.invite_at = len(self.steps)
        self.cseq = 1
        return self._request(
            "INVITE", "[branch]", 1, tagged=False, uri="sip:[service]@[remote_ip]:[remote_port]",
            extra=extra, body=sdp(codecs),
        )

    def acks(self, refusal=False):
        """Acknowledges the answer, or a refusal (which belongs to the INVITE's own transaction)."""
        if not refusal:
            return self._request("ACK", "[branch]", self.cseq, retrans=False)
        branch = f"[branch-{self._messages_since_invite()}]"
        uri = "sip:[service]@[remote_ip]:[remote_port]"
        return self._request("ACK", branch, self.cseq, uri=uri, retrans=False)

    def cancels(self):
        branch = f"[branch-{self._messages_since_invite()}]"
        uri = "sip:[service]@[remote_ip]:[remote_port]"
        return self._request("CANCEL", branch, self.cseq, tagged=False, uri=uri)

    def _messages_since_invite(self):
        """How far back the INVITE is for sipp, to which a label is no step."""
        return len([step for step in self.steps[self.invite_at:] if "<label " not in step])

    def hangs_up(self):
        self.cseq += 1
        return self._request("BYE", "[branch]", self.cseq)

    # Both

    def pauses(self, milliseconds):
        return self._add(f'  <pause milliseconds="{milliseconds}"/>')

    def hears(self, what, optional=False, tells_port=None, turns=None):
        """A status or a method. Where media is told of, the port goes to [fifo]. `turns` is the label at which it goes
        on then."""
        is_status = isinstance(what, int)
        if tells_port is None:
            tells_port = what in (183, 200) and not self._said_bye() or what == "INVITE"
        kind = f'response="{what}"' if is_status else f'request="{what}"'
        kind += ' optional="true"' if optional else ""
        kind += f' next="{turns}"' if turns else ""
        kind += ' rrs="true"' if what in (200, "INVITE") else ""
        actions = TELLS_PORT if tells_port else ""
        if tells_port:
            self.variables.append("line")
        if what == "INVITE":
            actions += "".join(self.notes)
            self.notes = []
        inside = f"\n    <action>{actions}\n    </action>" if actions else ""
        return self._add(f"  <recv {kind}>{inside}</recv>")

    def _said_bye(self):
        return any("\nBYE " in step or "\nCANCEL " in step for step in self.steps)

    # The callee

    def keeps_of_invite(self, variable, header):
        """Keeps a header of the INVITE that comes next, as [$variable]."""
        self.variables.append(variable)
        self.notes.append(
            f'\n      <ereg regexp=".*" search_in="hdr" header="{header}" check_it="true" assign_to="{variable}"/>'
        )
        return self

    def notes_number(self, variable, ending):
        """Notes whether the number that the next INVITE dials ends so, for `turns_if`."""
        self.notes.append(
            f'\n      <ereg regexp="INVITE sip:[+]?[0-9]*{ending}@" search_in="msg" check_it="false" assign_to="{variable}"/>'
        )
        return self

    def notes_caller(self, variable, pattern):
        """Notes whether the number that the next INVITE shows in From is of this pattern, for `turns_if`."""
        self.notes.append(
            f'\n      <ereg regexp="sip:{pattern}@" search_in="hdr" header="From:" check_it="false" assign_to="{variable}"/>'
        )
        return self

    def logs_invite(self):
        """Writes who is dialled and who is shown, of each INVITE, to sipp's log."""
        self.variables += ["dialled_line", "dialled", "shown_line", "shown"]
        self.notes.append(
            '\n      <ereg regexp="INVITE sip:([0-9]+)@" search_in="msg" check_it="true" assign_to="dialled_line,dialled"/>'
            '\n      <ereg regexp="sip:([0-9]+)@" search_in="hdr" header="From:" check_it="true" assign_to="shown_line,shown"/>'
            '\n      <log message="[$dialled] [$shown]"/>'
        )
        return self

    def logs(self, message):
        return self._add(f'  <nop><action><log message="{message}"/></action></nop>')

    def turns_if(self, variable, label):
        return self._add(f'  <nop next="{label}" test="{variable}"/>')

    def turns(self, label):
        return self._add(f'  <nop next="{label}"/>')

    def says(self, status, codecs=None, extra=(), to_tag=True, reason=None, cseq=""):
        """Answers the last request. A 200 to an INVITE says which codecs. `cseq` makes it an answer to an
        earlier one."""
        final = status >= 200
        invites = codecs is not None or not final or status >= 300
        return self._send(
            [
                f"SIP/2.0 {status} {escape(reason or REASONS.get(status, 'Because'))}",
                "[last_Via:]",
                "[last_From:]",
                "[last_To:]" + (";tag=[call_number]-[pid]" if invites and to_tag else ""),
                "[last_Call-ID:]",
                f"CSeq:{cseq}" if cseq else "[last_CSeq:]",
                "[last_Record-Route:]",
                "Contact: <sip:[local_ip]:[local_port];transport=[transport]>" if invites else "",
                *extra,
            ],
            sdp(codecs) if codecs else "",
            retrans=final and invites,
        )

    def label(self, name):
        return self._add(f'  <label id="{name}"/>')

    def xml(self):
        names = ",".join(sorted(set(self.variables)))
        references = f'  <Reference variables="{names}"/>\n' if names else ""
        steps = "\n".join(self.steps)
        return (
            f'<?xml version="1.0" encoding="UTF-8" ?>\n<scenario name="{self.name}">\n{steps}\n'
            f"{references}</scenario>\n"
        )


# The usual ones


def answers(ring_ms=200):
    """Rings, answers and talks until the other side hangs up."""
    return (
        Script("answers").hears("INVITE").says(180).pauses(ring_ms).says(200, A_LAW).hears("ACK")
        .hears("BYE").says(200)
    )


def calls(talk_ms=1500, **dial):
    """Dials, talks, hangs up."""
    return (
        Script("calls").dials(**dial).hears(100, optional=True).hears(180, optional=True)
        .hears(183, optional=True).hears(200).acks().pauses(talk_ms).hangs_up().hears(200)
    )


def stays(**dial):
    """Dials, and talks until the other side hangs up."""
    return (
        Script("stays").dials(**dial).hears(100, optional=True).hears(180, optional=True)
        .hears(183, optional=True).hears(200).acks().hears("BYE").says(200)
    )


def is_refused(status, **dial):
    """Dials and is refused, perhaps after early media."""
    return (
        Script(f"refused {status}").dials(**dial).hears(100, optional=True).hears(180, optional=True)
        .hears(183, optional=True).hears(status).acks(refusal=True)
    )


def gives_up(after_ms=300, **dial):
    """Dials, hears it ring, gives up."""
    return (
        Script("gives up").dials(**dial).hears(100, optional=True).hears(180).pauses(after_ms).cancels()
        .hears(200, tells_port=False).hears(487).acks(refusal=True)
    )
