"""A baresip softphone in a process of its own, driven by JSON lines; it runs in `.venv/baresip`.

The one argument is a JSON object:

    {"user": NUMBER, "host": IP, "port": PORT, "transport": "udp" | "tcp" | "tls", "dtmf": "rtpevent" | "info",
     "voice": FILE or null, "heard": FILE, "trace": FILE, "config": LINES}

`voice` is spoken and what is heard is kept, both as raw PCM of 16 bits at 8 kHz. Commands come in as
{"do": "dial", "uri": ...} and so on, one a line; events go out as {"event": NAME, ...}.
"""

import asyncio
import json
import logging
import sys

from baresip import Account, Config
from baresip.errors import AudioNotActive, AudioRestarted, BaresipError
from baresip.runtime import Runtime
from baresip.ua import UserAgent

FRAME_BYTES = 320
# So much may wait to be sent; the stack takes 20 ms at a time.
AHEAD_FRAMES = 15
TOLD = {
    "CALL_INCOMING",
    "CALL_RINGING",
    "CALL_PROGRESS",
    "CALL_ESTABLISHED",
    "CALL_HOLD",
    "CALL_RESUME",
    "CALL_CLOSED",
}


def tell(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


class Phone:
    def __init__(self, settings):
        self.settings = settings
        self.call = None
        self.answered = asyncio.Event()
        self.voice = open(settings["voice"], "rb").read() if settings["voice"] else b""
        self.spoken = 0
        self.heard = open(settings["heard"], "wb", buffering=0)

    async def run(self):
        settings = self.settings
        trace = logging.FileHandler(settings["trace"])
        logging.getLogger("baresip.native").addHandler(trace)
        logging.getLogger("baresip.native").setLevel(logging.DEBUG)
        runtime = Runtime()
        here = f"{settings['host']}:{settings['port']}"
        await runtime.start(
            Config(
                net_interface=settings["host"],
                sip_trace=True,
                native_log_level="debug",
                expose_headers=("P-Asserted-Identity", "From"),
                extra_config_text=f"sip_listen {here}\n{settings['config']}\n",
            )
        )
        runtime.subscribe(self.on_event)
        account = Account(
            user=settings["user"],
            domain=here,
            password="",
            reg_interval=0,
            transport=settings["transport"],
            audio_codecs=("pcma", "pcmu"),
            dtmf_mode=settings["dtmf"],
        )
        self.agent = await UserAgent.create(runtime, account)
        self.agent.on_incoming(self.take)
        sound = asyncio.create_task(self.carry_sound())
        tell("READY")
        lines = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        while line := await lines.readline():
            command = json.loads(line)
            try:
                await getattr(self, "do_" + command.pop("do"))(**command)
            except (BaresipError, TimeoutError) as error:
                tell("FAILED", text=repr(error))
        sound.cancel()
        await runtime.close()

    def on_event(self, event):
        if event.event.name == "CALL_REMOTE_SDP" and event.text == "answer":
            self.answered.set()
        if event.event.name in TOLD:
            tell(event.event.name, text=event.text, peer=event.peer, headers=event.headers)

    def take(self, call):
        self.adopt(call)

    def adopt(self, call):
        self.call = call
        call.on_dtmf(lambda digit: tell("DIGIT", digit=digit.digit, ms=digit.duration_ms))

    async def carry_sound(self):
        while True:
            await asyncio.sleep(0.01)
            if self.call is None:
                continue
            try:
                self.heard.write(self.call.audio.read(1 << 16))
                if self.voice and self.call.audio.info().tx_buffered < AHEAD_FRAMES * FRAME_BYTES:
                    frame = self.voice[self.spoken : self.spoken + FRAME_BYTES]
                    self.spoken += self.call.audio.write(frame)
                    if self.spoken >= len(self.voice):
                        self.spoken = 0
            except (AudioNotActive, AudioRestarted):
                continue

    async def do_dial(self, uri, headers=None):
        self.adopt(await self.agent.dial(uri, headers=headers))

    async def do_answer(self):
        await self.call.answer()

    async def do_reject(self):
        await self.call.reject()

    async def do_hold(self):
        await self.change(self.call.hold)

    async def do_resume(self):
        await self.change(self.call.resume)

    async def change(self, change):
        """Returns once the other side has answered: until then the stack can make no other change."""
        self.answered.clear()
        await change()
        await asyncio.wait_for(self.answered.wait(), 10)

    async def do_dtmf(self, digits):
        await self.call.send_dtmf(digits)

    async def do_hangup(self):
        await self.call.hangup()


asyncio.run(Phone(json.loads(sys.argv[1])).run())
