"""Finds a secret in bytes, however it is disguised.

The same as the scanner of the Rust tests (crates/server/tests/suite/leaks/scanner.rs), over the same examples
(disguises.json): the bytes are looked at in four ways in which most disguises fall away, and what is left
of them is a list of needles for each secret.
"""

import base64
import hashlib
import re
from dataclasses import dataclass

RAW, UNWRAPPED, PLAIN, TIGHT = "raw", "unwrapped", "plain", "tight"
SPACES = b" \t\r\n\x0b\x0c"
BETWEEN = SPACES + b"-.()/:_+"
ESCAPES = re.compile(rb"%([0-9a-f]{2})|\\u00([0-9a-f]{2})|&#(\d{1,3});|\xef\xbc([\x90-\x99])|(\xc2\xa0)", re.I)


@dataclass(frozen=True)
class Secret:
    """`kind` is number (in its national form), name, address (IPv4), token or ssrc."""

    kind: str
    text: str


@dataclass(frozen=True)
class Finding:
    secret: Secret
    how: str

    def __str__(self):
        return f"{self.secret.kind} {self.secret.text} ({self.how})"


class Scanner:
    def __init__(self, secrets):
        self.needles = {secret: _Needles(secret).all for secret in secrets}

    def scan(self, data):
        """The secrets that are in these bytes, each once."""
        plain = _plain(data)
        views = {
            RAW: data,
            UNWRAPPED: data.translate(None, SPACES),
            PLAIN: plain,
            TIGHT: plain.translate(None, BETWEEN),
        }
        found = []
        for secret, needles in self.needles.items():
            how = next((how for view, needle, whole, how in needles if _holds(views[view], needle, whole)), None)
            if how is not None:
                found.append(Finding(secret, how))
        return found


def _holds(data, needle, whole):
    at = data.find(needle)
    while at >= 0:
        before, after = data[at - 1 : at] if at else b"", data[at + len(needle) : at + len(needle) + 1]
        if not whole or not (before.isdigit() or after.isdigit()):
            return True
        at = data.find(needle, at + 1)
    return False


def _plain(data):
    """In lower case, without the zeros of UTF-16 and UTF-32, and with what is escaped made plain."""
    data = data.translate(None, b"\x00")
    # What is escaped may have been escaped before.
    for _ in range(2):
        data = ESCAPES.sub(_escape, data)
    return data.lower()


def _escape(match):
    percent, unicode, reference, wide, space = match.groups()
    if space:
        return b" "
    if wide:
        return bytes([wide[0] - 0x90 + 0x30])
    if reference:
        value = int(reference)
        return bytes([value]) if value < 256 else match.group()
    return bytes([int(percent or unicode, 16)])


class _Needles:
    """What a secret looks like: (view, bytes, whether digits beside it make it something else, how)."""

    def __init__(self, secret):
        self.all = []
        getattr(self, f"_{secret.kind}")(secret.text)

    def add(self, view, needle, how, whole=False):
        needle = needle.encode() if isinstance(needle, str) else bytes(needle)
        self.all.append((view, needle, whole, how))

    def _number(self, number):
        # Prefixes come and go, with them the 0 of an area code.
        core = number.removeprefix("0")
        self.add(TIGHT, core, "digits")
        self.add(TIGHT, core[::-1], "backwards")
        if len(core) > 8:
            self.add(PLAIN, core[-8:], "its last eight digits", whole=True)
        self._packed(core)
        for form in (core, *(by.join((core[:3], core[3:-4], core[-4:])) for by in "- ")):
            self._encoded(form)
        for form in {number, *(prefix + core for prefix in ("", "0", "86", "+86", "0086"))}:
            self._hashed(form)

    def _packed(self, core):
        """Two digits in a byte: in their order, or as telephone signalling does, the second one first
        (3GPP TS 24.008 section 10.5.4.7). What stands before the number shifts it by a digit or not."""
        for digits in (core, core[1:]):
            digits = digits[: len(digits) // 2 * 2]
            swapped = "".join(digits[at + 1] + digits[at] for at in range(0, len(digits), 2))
            self.add(RAW, bytes.fromhex(swapped), "telephone digits")
            self.add(TIGHT, swapped, "telephone digits, hex")
            self.add(RAW, bytes.fromhex(digits), "packed digits")

    def _name(self, name):
        self.add(TIGHT, _plain(name.encode()).translate(None, BETWEEN), "as it is")
        if not name.isascii():
            for encoding in ("utf-16-be", "utf-16-le", "gbk"):
                self.add(RAW, name.encode(encoding), encoding)
        self._encoded(name)
        self._hashed(name)

    def _address(self, address):
        parts = address.split(".")
        octets = bytes(map(int, parts))
        self.add(PLAIN, address, "as it is", whole=True)
        self._encoded(address)
        self._hashed(address)
        for by in "-_":
            self.add(PLAIN, by.join(parts), f"with {by}", whole=True)
        self.add(PLAIN, ".".join(reversed(parts)), "in reverse", whole=True)
        self.add(PLAIN, str(int.from_bytes(octets)), "as one number", whole=True)
        self.add(TIGHT, octets.hex(), "hex")
        self.add(RAW, octets, "raw")

    def _token(self, token):
        self.add(PLAIN, token.lower(), "as it is")
        self._encoded(token)
        self._hashed(token)

    def _ssrc(self, ssrc):
        value = int(ssrc)
        self.add(RAW, value.to_bytes(4, "big"), "raw")
        self.add(RAW, value.to_bytes(4, "little"), "raw, little end first")
        self.add(TIGHT, f"{value:08x}", "hex")
        self.add(PLAIN, ssrc, "as a number", whole=True)

    def _encoded(self, text):
        """Base64, whatever stands before it, and hex."""
        for before in range(3):
            padded = bytes(before) + text.encode()
            encoded = base64.b64encode(padded).decode()
            # Only those characters that hold nothing of what stands before and behind.
            self._base64(encoded[-(-before * 8 // 6) : len(padded) * 8 // 6], "Base64")
        self.add(TIGHT, text.encode().hex(), "hex")

    def _hashed(self, text):
        """Its first eight bytes give a hash away, and nothing else has them."""
        for name in ("md5", "sha1", "sha256"):
            first = hashlib.new(name, text.encode()).digest()[:8]
            self.add(RAW, first, f"{name}, raw")
            self.add(TIGHT, first.hex(), f"{name}, hex")
            self._base64(base64.b64encode(first).decode()[:10], f"{name}, Base64")

    def _base64(self, encoded, how):
        self.add(UNWRAPPED, encoded, how)
        self.add(UNWRAPPED, encoded.replace("+", "-").replace("/", "_"), how)
