//! What a call's media came to, for its record.

use serde::Serialize;

/// What came from one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Received {
    /// Packets taken from the side itself.
    pub packets: u64,
    /// Packets missing among them, by their numbers.
    pub lost: u64,
    /// How unevenly they came at the end (RFC 3550 section 6.4.1).
    pub jitter_ms: u32,
    /// Packets from elsewhere, dropped.
    pub foreign: u64,
    /// Packets from the side itself that were no RTP of an agreed kind, dropped.
    pub odd: u64,
    /// Packets that were not sent to the side, since nothing had come from where it said it is.
    #[serde(skip_serializing_if = "is_zero")]
    pub withheld: u64,
    /// How many packets of ours the side itself reported missing, if it reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<u32>,
}

/// What came from both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// From the caller.
    pub caller: Received,
    /// From the callee.
    pub callee: Received,
    /// The recording, if one was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recorded>,
}

impl Statistics {
    /// Whether sound came from one side only.
    pub fn is_one_way(&self) -> bool {
        (self.caller.packets == 0) != (self.callee.packets == 0)
    }
}

/// What a recording came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// The file below the directory of recordings.
    pub file: String,
    /// How long it is.
    pub milliseconds: u64,
    /// Packets that were not written, since the disk was too slow.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// Why it ended before the call, or never began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
}

/// Why a recording ended before its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// Too little room was left on the disk.
    DiskFull,
    /// The file could not be made or written.
    Failed,
    /// The call's codec is not one that is understood.
    Codec,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
