"""The sound side of a test phone: one UDP port that plays a tone in A-law and keeps what it hears."""

import math
import socket
import struct
import threading
import time

PCMA = 8
SAMPLES = 160
PACKET_S = 0.020
RATE = 8000


def alaw_encode(sample):
    """One linear sample of 16 bits as A-law (ITU-T G.711)."""
    sign = 0x80 if sample >= 0 else 0x00
    magnitude = min(abs(sample), 32_635)
    if magnitude < 256:
        code = magnitude >> 4
    else:
        segment = magnitude.bit_length() - 8
        code = segment << 4 | (magnitude >> (segment + 3)) & 0x0F
    return (code | sign) ^ 0x55


def alaw_decode(byte):
    code = byte ^ 0x55
    mantissa, segment = (code & 0x0F) << 4, code >> 4 & 0x07
    magnitude = mantissa + 8 if segment == 0 else (mantissa + 0x108) << (segment - 1)
    return magnitude if code & 0x80 else -magnitude


DECODED = [alaw_decode(byte) for byte in range(256)]


def tone(frequency):
    """An endless tone, packet by packet."""
    position = 0
    while True:
        angles = (2 * math.pi * frequency * (position + n) / RATE for n in range(SAMPLES))
        yield bytes(alaw_encode(int(16_000 * math.sin(angle))) for angle in angles)
        position += SAMPLES


class Sound:
    """What was heard."""

    def __init__(self, packets, sources):
        self.packets = packets
        self.sources = sources
        self.samples = [DECODED[byte] for packet in packets for byte in packet]

    def share_of(self, frequency):
        """How much of the energy lies at this frequency, 0 to 1."""
        return share_of(self.samples, frequency)


def share_of(samples, frequency):
    """How much of the energy of these samples lies at this frequency, 0 to 1 (Goertzel, in pieces of
    100 ms)."""
    piece = RATE // 10
    coefficient = 2 * math.cos(2 * math.pi * frequency / RATE)
    found = total = 0.0
    for start in range(0, len(samples) - piece + 1, piece):
        before = last = 0.0
        for sample in samples[start : start + piece]:
            before, last = last, sample + coefficient * last - before
            total += sample * sample
        found += (last * last + before * before - coefficient * last * before) * 2 / piece
    return found / total if total else 0.0


class MediaPhone:
    """Listens from the beginning; speaks once it knows where to."""

    def __init__(self, address, frequency):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.frequency = frequency
        self.over = threading.Event()
        self.heard = []
        self.sources = set()
        self.threads = [threading.Thread(target=self._listen, daemon=True)]
        self.threads[0].start()

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def speak_to(self, address):
        self.threads.append(threading.Thread(target=self._speak, args=(address,), daemon=True))
        self.threads[-1].start()

    def _speak(self, address):
        begun = time.monotonic()
        for number, payload in enumerate(tone(self.frequency)):
            header = struct.pack("!BBHII", 0x80, PCMA, number & 0xFFFF, number * SAMPLES, 0x5150)
            try:
                self.socket.sendto(header + payload, address)
            except OSError:
                # Its network is down, as a test may have made it: what it says now is lost.
                pass
            if self.over.wait(max(0, begun + (number + 1) * PACKET_S - time.monotonic())):
                return

    def _listen(self):
        while not self.over.is_set():
            self.socket.settimeout(0.2)
            try:
                packet, source = self.socket.recvfrom(2048)
            except TimeoutError:
                continue
            if len(packet) > 12 and packet[1] & 0x7F == PCMA:
                self.heard.append(packet[12:])
                self.sources.add(source)

    def end(self):
        """Stops both; what was heard."""
        self.over.set()
        for thread in self.threads:
            thread.join()
        self.socket.close()
        return Sound(self.heard, self.sources)
