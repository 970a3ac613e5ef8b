"""Who is on the phone, and all that must not be heard of them."""

from dataclasses import dataclass

from leaks.scanner import Secret

EVENTS = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"


@dataclass(frozen=True)
class Party:
    number: str
    # As its network writes it.
    written: str
    name: str
    host: str
    # Where its sound is, and the proxy that its messages came by.
    media_host: str
    diverter: str
    # A word that names this party, this call and this machine; in Call-ID, tag and CNAME.
    word: str
    product: str
    ssrc: int
    # Contributing source: who else speaks.
    csrc: int

    def identities(self):
        """What must stand nowhere, not even where only the operator looks."""
        return [
            Secret("number", self.number),
            Secret("number", self.diverter),
            Secret("name", self.name),
            Secret("token", self.word),
            Secret("token", self.product),
            Secret("address", self.media_host),
        ]

    def secrets(self):
        """What the other side must not learn."""
        return [
            *self.identities(),
            Secret("address", self.host),
            Secret("ssrc", str(self.ssrc)),
            Secret("ssrc", str(self.csrc)),
        ]

    def headers(self):
        """Headers that say who this is, as phones, exchanges and applications send them."""
        number, written, name, ip, word = self.number, self.written, self.name, self.host, self.word
        return (
            f'Remote-Party-ID: "{name}" <sip:{written}@{ip}>;party=calling;screen=yes\r\n'
            f"P-Preferred-Identity: <sip:{written}@{ip}>\r\n"
            f"P-Called-Party-ID: <sip:{written}@{ip}>\r\n"
            f"P-Charging-Vector: icid-value={word}{number};orig-ioi={ip}\r\n"
            f'Diversion: "{name}" <sip:{self.diverter}@{ip}>;reason=unconditional\r\n'
            f"History-Info: <sip:{self.diverter}@{ip}?Reason=SIP%3Bcause%3D302>;index=1,"
            f" <sip:{number}@{ip}>;index=1.1\r\n"
            f"Referred-By: <sip:{number}@{ip}>\r\n"
            f'Reply-To: "{name}" <sip:{number}@{ip}>\r\n'
            f"In-Reply-To: {word}@{ip}\r\n"
            f"User-to-User: 04{written.encode().hex()};encoding=hex;purpose=isdn-uui\r\n"
            f"Subject: {name} calls, {number}\r\n"
            f"Organization: {name}\r\n"
            f"Alert-Info: <http://{ip}/{number}.wav>;info={word}\r\n"
            f"Call-Info: <http://{ip}/{number}.jpg>;purpose=icon\r\n"
            f"Error-Info: <sip:{number}@{ip}>\r\n"
            f'Warning: 399 {ip} "{name} {number}"\r\n'
            f"Geolocation: <cid:{number}@{ip}>\r\n"
            f"Identity: {word};info=<https://{ip}/{number}.cer>\r\n"
            f"X-Account: {number}\r\n"
            f"X-Name: {name}\r\n"
            f"{number}: {word}\r\n"
            f"User-Agent: {self.product} {number}\r\n"
            f"Server: {self.product} at {ip} of {name}\r\n"
        )

    def sdp(self, port, formats="8 0 101", attributes=EVENTS, direction="sendrecv"):
        ip, word = self.host, self.word
        return (
            f"v=0\r\no={self.number} {self.ssrc} 1 IN IP4 {ip}\r\ns=call of {self.name}\r\ni={self.number}\r\n"
            f"u=http://{ip}/{self.number}\r\ne={word}@{ip} ({self.name})\r\np={self.number}\r\n"
            f"c=IN IP4 {self.media_host}\r\nt=0 0\r\na=tool:{word}\r\na=ice-ufrag:{word}\r\n"
            f"m=audio {port} RTP/AVP {formats}\r\n{attributes}a={direction}\r\ni={word}\r\n"
            f"a=rtcp:{port + 1} IN IP4 {self.media_host}\r\na=ssrc:{self.ssrc} cname:{word}@{ip}\r\n"
            f"a=candidate:{word} 1 UDP 2130706431 {ip} {port} typ host\r\na=x-{word}:{ip}\r\n"
        )


CALLER = Party(
    number="13867594021",
    written="+8613867594021",
    name="Wang Mimi",
    host="127.0.0.72",
    media_host="127.0.0.74",
    diverter="13670284915",
    word="q7caller0wanghouse",
    product="Wangphone/4.11",
    ssrc=0x9E41A07C,
    csrc=0x7310BE55,
)
CALLEE = Party(
    number="057186421973",
    written="+8657186421973",
    name="王秘密",
    host="127.0.0.83",
    media_host="127.0.0.85",
    diverter="13305196482",
    word="k3callee0zhaohouse",
    product="Zhaofon 9",
    ssrc=0x6B13F2D8,
    csrc=0x2D9C0A41,
)
