"""A carrier with many phones behind it, played by one sipp: the last two digits of a number say what its
phone does."""

from calls.script import A_LAW, Script

ANSWERS, BUSY, DECLINES, SILENT, DEAD, MUTE, FULL, POWERED_OFF = "00", "91", "92", "93", "94", "95", "96", "97"
# What POWERED_OFF's network plays before it refuses is heard from this port, which nobody serves.
BEHAVIOURS = {
    BUSY: lambda script: script.says(486).hears("ACK"),
    DECLINES: lambda script: script.says(180).says(603).hears("ACK"),
    SILENT: lambda script: (
        script.says(180).hears("CANCEL").says(200)
        .says(487, cseq="[$cseq]").hears("ACK")
    ),
    DEAD: lambda script: script.says(503).hears("ACK"),
    MUTE: lambda script: script.says(488).hears("ACK"),
    FULL: lambda script: script.says(486, extra=["Reason: Q.850;cause=34"]).hears("ACK"),
    POWERED_OFF: lambda script: (
        script.says(183, A_LAW).pauses(400).says(480, extra=["Reason: Q.850;cause=20"]).hears("ACK")
    ),
}


def carrier():
    script = Script("carrier").keeps_of_invite("cseq", "CSeq:")
    for digits in BEHAVIOURS:
        script.notes_number("is" + digits, digits)
    script.hears("INVITE", tells_port=False)
    for digits in BEHAVIOURS:
        script.turns_if("is" + digits, digits)
    script.says(180).pauses(100).says(200, A_LAW).hears("ACK").hears("BYE").says(200).turns("end")
    for digits, behave in BEHAVIOURS.items():
        behave(script.label(digits)).turns("end")
    return script.label("end").pauses(1)
