"""A PJSIP phone in a process of its own, driven by JSON lines; it runs in `.venv/pjsip`.

The one argument is a JSON object:

    {"user": NUMBER, "host": IP, "port": PORT, "transport": "udp" | "tcp" | "tls", "voice": FILE, "heard": FILE,
     "trace": FILE, "certificate": FILE, "key": FILE, "authority": FILE, "username": NAME, "password": TEXT,
     "reliable": whether it wants its provisional answers acknowledged,
     "asks_username": NAME, "asks_password": TEXT, which make it challenge whoever calls it}

`voice` is a WAV file that is spoken, `heard` one that keeps what is heard, both 16 bits at 8 kHz. Commands come
in as {"do": "dial", "uri": ...} and so on, one a line; events go out as {"event": NAME, ...}.

Everything happens on one thread: PJSIP is polled, so that no callback comes while another runs.
"""

import hashlib
import json
import os
import re
import select
import secrets
import sys
import time

import pjsua2 as pj

POLL_MS = 10
#: What begins an exchange of offer and answer, and how long it waits for another to end.
OFFERS = {"hold", "resume", "reinvite", "renew", "update"}
BUSY_S = 10
# PJSIP writes to standard output until its log is set up, so events have the pipe for themselves.
EVENTS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
KINDS = {
    "udp": pj.PJSIP_TRANSPORT_UDP,
    "tcp": pj.PJSIP_TRANSPORT_TCP,
    "tls": pj.PJSIP_TRANSPORT_TLS,
}


def tell(event, **more):
    print(json.dumps({"event": event, **more}), file=EVENTS, flush=True)


class Call(pj.Call):
    def __init__(self, phone, account, call_id=pj.PJSUA_INVALID_ID):
        super().__init__(account, call_id)
        self.phone = phone
        self.held = False
        self.changing = False
        self.told = tell

    def onCallState(self, prm):
        tell = self.told
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_EARLY and info.role == pj.PJSIP_ROLE_UAC:
            tell("CALL_RINGING" if info.lastStatusCode == 180 else "CALL_PROGRESS")
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            tell("CALL_ESTABLISHED", peer=info.remoteUri)
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            tell("CALL_CLOSED", text=f"{info.lastStatusCode} {info.lastReason}")

    def onCallMediaState(self, prm):
        info = self.getInfo()
        for media in info.media:
            if media.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            if media.status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD):
                self.phone.connect(self.getAudioMedia(media.index))
            held = media.status == pj.PJSUA_CALL_MEDIA_REMOTE_HOLD
            if held != self.held:
                self.held = held
                tell("CALL_HOLD" if held else "CALL_RESUME")
            if self.changing:
                self.changing = False
                tell("CHANGED")

    def onDtmfDigit(self, prm):
        how = "info" if prm.method == pj.PJSUA_DTMF_METHOD_SIP_INFO else "rtpevent"
        tell("DIGIT", digit=prm.digit, how=how)


def md5(*parts):
    return hashlib.md5(":".join(parts).encode()).hexdigest()


class Account(pj.Account):
    def __init__(self, phone):
        super().__init__()
        self.phone = phone
        self.nonce = secrets.token_hex(16)
        # Calls that are refused for want of a proof; PJSIP's own objects must outlive them.
        self.refused = []

    def is_proven(self, invite):
        """Whether the INVITE answers our challenge (RFC 7616 with MD5, qop auth)."""
        settings = self.phone.settings
        line = re.search(r"(?mi)^Authorization: *Digest (.*)$", invite)
        if not line:
            return False
        said = {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', line[1])}
        secret = md5(settings["asks_username"], "pjsip", settings["asks_password"])
        asked = md5("INVITE", said["uri"])
        right = md5(secret, self.nonce, said["nc"], said["cnonce"], "auth", asked)
        return (said["username"], said["nonce"], said["response"]) == (settings["asks_username"], self.nonce, right)

    def onIncomingCall(self, prm):
        call = Call(self.phone, self, prm.callId)
        if self.phone.settings["asks_username"] and not self.is_proven(prm.rdata.wholeMsg):
            challenge = pj.SipHeader()
            challenge.hName = "WWW-Authenticate"
            challenge.hValue = f'Digest realm="pjsip", nonce="{self.nonce}", algorithm=MD5, qop="auth"'
            parameters = pj.CallOpParam()
            parameters.statusCode = 401
            parameters.txOption.headers.append(challenge)
            call.told = lambda *_, **__: None
            self.refused.append(call)
            call.answer(parameters)
            return
        self.phone.call = call
        tell("CALL_INCOMING", peer=call.getInfo().remoteUri, headers=prm.rdata.wholeMsg)


class Phone:
    def __init__(self, settings):
        self.settings = settings
        self.call = None
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.maxCalls = 4
        config.logConfig.level = 5
        config.logConfig.consoleLevel = 0
        config.logConfig.filename = settings["trace"]
        config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
        config.medConfig.noVad = True
        config.medConfig.ecTailLen = 0
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        self.endpoint.libInit(config)
        self.endpoint.audDevManager().setNullDev()
        for codec in self.endpoint.codecEnum2():
            priority = {"PCMA/8000/1": 200, "PCMU/8000/1": 190}.get(codec.codecId, 0)
            self.endpoint.codecSetPriority(codec.codecId, priority)
        transport = pj.TransportConfig()
        transport.boundAddress = settings["host"]
        transport.port = settings["port"]
        if settings["transport"] == "tls":
            transport.tlsConfig.CaListFile = settings["authority"]
            transport.tlsConfig.certFile = settings["certificate"]
            transport.tlsConfig.privKeyFile = settings["key"]
            transport.tlsConfig.verifyServer = True
            transport.tlsConfig.verifyClient = False
        self.endpoint.transportCreate(KINDS[settings["transport"]], transport)
        self.endpoint.libStart()

        self.voice = pj.AudioMediaPlayer()
        self.voice.createPlayer(settings["voice"])
        self.ear = pj.AudioMediaRecorder()
        self.ear.createRecorder(settings["heard"])

        account = pj.AccountConfig()
        account.idUri = f"sip:{settings['user']}@{settings['host']}:{settings['port']}"
        # Else the Contact of a connection names what the routes say, which is not where this one listens.
        account.sipConfig.contactForced = (
            f"<sip:{settings['user']}@{settings['host']}:{settings['port']};transport={settings['transport']}>"
        )
        account.callConfig.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL
        if settings["reliable"]:
            account.callConfig.prackUse = pj.PJSUA_100REL_MANDATORY
        account.mediaConfig.transportConfig.boundAddress = settings["host"]
        account.mediaConfig.transportConfig.port = 0
        account.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_DISABLED
        # Nothing is registered: what the peer has seen is no matter of the account's.
        account.natConfig.contactRewriteUse = 0
        account.natConfig.viaRewriteUse = 0
        account.natConfig.sdpNatRewriteUse = 0
        if settings["username"]:
            credentials = pj.AuthCredInfo("digest", "*", settings["username"], 0, settings["password"])
            account.sipConfig.authCreds.append(credentials)
        self.account = Account(self)
        self.account.create(account)

    def connect(self, audio):
        self.voice.startTransmit(audio)
        audio.startTransmit(self.ear)

    def run(self):
        tell("READY")
        waiting = b""
        again = []
        while True:
            self.endpoint.libHandleEvents(POLL_MS)
            again = [later for later in again if not self.carry_out(*later)]
            if not select.select([0], [], [], 0)[0]:
                continue
            read = sys.stdin.buffer.raw.read(1 << 16)
            if not read:
                break
            *lines, waiting = (waiting + read).split(b"\n")
            for line in lines:
                later = (json.loads(line), time.monotonic() + BUSY_S)
                if not self.carry_out(*later):
                    again.append(later)
        self.call = None
        self.endpoint.libDestroy()

    def carry_out(self, command, deadline):
        """False: an exchange is under way still, such as one of which PJSIP awaits the ACK; try again."""
        what = command["do"]
        more = {name: value for name, value in command.items() if name != "do"}
        try:
            getattr(self, f"do_{what}")(**more)
        except pj.Error as error:
            if what in OFFERS and time.monotonic() < deadline:
                return False
            tell("FAILED", text=error.info())
        return True

    def do_dial(self, uri):
        self.call = Call(self, self.account)
        self.call.makeCall(uri, pj.CallOpParam(True))

    def answer(self, status):
        parameters = pj.CallOpParam()
        parameters.statusCode = status
        self.call.answer(parameters)

    def do_ring(self):
        self.answer(180)

    def do_early(self):
        self.answer(183)

    def do_answer(self):
        self.answer(200)

    def do_reject(self):
        self.answer(486)

    def do_hold(self):
        self.call.changing = True
        self.call.setHold(pj.CallOpParam(True))

    def do_resume(self):
        self.call.changing = True
        parameters = pj.CallOpParam(True)
        parameters.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.call.reinvite(parameters)

    def do_reinvite(self):
        self.call.changing = True
        self.call.reinvite(pj.CallOpParam(True))

    def do_renew(self):
        """Media begun anew: another port, and another name of the stream."""
        self.call.changing = True
        parameters = pj.CallOpParam(True)
        parameters.opt.flag = pj.PJSUA_CALL_REINIT_MEDIA
        self.call.reinvite(parameters)

    def do_update(self):
        self.call.changing = True
        self.call.update(pj.CallOpParam(True))

    def do_dtmf(self, digits, how="rtpevent"):
        parameters = pj.CallSendDtmfParam()
        parameters.digits = digits
        parameters.duration = 160
        parameters.method = (
            pj.PJSUA_DTMF_METHOD_SIP_INFO if how == "info" else pj.PJSUA_DTMF_METHOD_RFC2833
        )
        self.call.sendDtmf(parameters)

    def do_hangup(self):
        self.call.hangup(pj.CallOpParam())


Phone(json.loads(sys.argv[1])).run()
