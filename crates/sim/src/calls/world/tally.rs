//! What rounds did.

use crate::calls::rewriting::Done;

/// What rounds did, to see that they were not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Calls that were begun.
    pub calls: u64,
    /// Calls that left a record.
    pub recorded: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that were refused by the bindings.
    pub refused: u64,
    /// Prompts that were played to a caller.
    pub prompts: u64,
    /// Ring tones that were played to a caller.
    pub tones: u64,
    /// Calls that another trunk took over.
    pub failovers: u64,
    /// Calls that no trunk could be sent.
    pub without_trunk: u64,
    /// Calls that were one too many on X or by a caller.
    pub over_limit: u64,
    /// Calls of which no side was heard any more.
    pub media_lost: u64,
    /// Phones that vanished or went deaf.
    pub phone_faults: u64,
    /// Changes of the media that the other side took: hold and resume.
    pub changes: u64,
    /// Changes of the media by UPDATE that were taken.
    pub updates: u64,
    /// Of the changes those before the answer.
    pub early: u64,
    /// Offers in a PRACK that were taken.
    pub by_prack_offered: u64,
    /// Offers that were refused since their media would have come back.
    pub media_loops: u64,
    /// Offers that phones asked for, and answered.
    pub asked: u64,
    /// Answers to our first offer that came in an ACK.
    pub by_ack: u64,
    /// Answers to our first offer that came in a PRACK.
    pub by_prack: u64,
    /// Calls whose sides were asked for their codecs at the end.
    pub compared: u64,
    /// Descriptions that an exchange sent in a multipart body (RFC 5621).
    pub multiparts: u64,
    /// Answers that differ from an early one that nobody acknowledged.
    pub elsewhere: u64,
    /// Messages over streams.
    pub streamed: u64,
    /// Keys that reached the other side.
    pub keys: u64,
    /// Calls that were still up when their binding was none any more.
    pub outlived: u64,
    /// Callers who were answered to hear why nobody rings.
    pub answered_in_vain: u64,
    /// Outages of carriers.
    pub outages: u64,
    /// Packets that were sent.
    pub packets: u64,
}

impl Tally {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        let Self {
            calls,
            recorded,
            answered,
            refused,
            prompts,
            tones,
            failovers,
            without_trunk,
            over_limit,
            media_lost,
            phone_faults,
            changes,
            updates,
            early,
            by_prack_offered,
            media_loops,
            asked,
            by_ack,
            by_prack,
            compared,
            multiparts,
            elsewhere,
            streamed,
            keys,
            outlived,
            answered_in_vain,
            outages,
            packets,
        } = other;
        self.calls += calls;
        self.recorded += recorded;
        self.answered += answered;
        self.refused += refused;
        self.prompts += prompts;
        self.tones += tones;
        self.failovers += failovers;
        self.without_trunk += without_trunk;
        self.over_limit += over_limit;
        self.media_lost += media_lost;
        self.phone_faults += phone_faults;
        self.changes += changes;
        self.updates += updates;
        self.early += early;
        self.by_prack_offered += by_prack_offered;
        self.media_loops += media_loops;
        self.asked += asked;
        self.by_ack += by_ack;
        self.by_prack += by_prack;
        self.compared += compared;
        self.multiparts += multiparts;
        self.elsewhere += elsewhere;
        self.streamed += streamed;
        self.keys += keys;
        self.outlived += outlived;
        self.answered_in_vain += answered_in_vain;
        self.outages += outages;
        self.packets += packets;
    }

    /// Counts what a phone did in its own way.
    pub(in crate::calls) fn count(&mut self, done: Option<Done>) {
        let count = match done {
            None => return,
            Some(Done::AnsweredByAck) => &mut self.by_ack,
            Some(Done::AnsweredByPrack) => &mut self.by_prack,
            Some(Done::Updated) => &mut self.updates,
            Some(Done::Asked) => &mut self.asked,
            Some(Done::OfferedByPrack) => &mut self.by_prack_offered,
        };
        *count += 1;
    }

    /// Each count with its name.
    pub fn lines(&self) -> [(&'static str, u64); 28] {
        [
            ("calls", self.calls),
            ("with a record", self.recorded),
            ("answered", self.answered),
            ("refused by the bindings", self.refused),
            ("prompts", self.prompts),
            ("ring tones", self.tones),
            ("taken over by another trunk", self.failovers),
            ("without a trunk", self.without_trunk),
            ("one too many", self.over_limit),
            ("without sound", self.media_lost),
            ("faults of phones", self.phone_faults),
            ("changes of media", self.changes),
            ("changes by UPDATE", self.updates),
            ("changes before the answer", self.early),
            ("offers in a PRACK", self.by_prack_offered),
            ("offers whose media would come back", self.media_loops),
            ("offers asked for", self.asked),
            ("late answers by ACK", self.by_ack),
            ("late answers by PRACK", self.by_prack),
            ("compared by their codecs", self.compared),
            ("descriptions in multipart bodies", self.multiparts),
            ("answers from elsewhere", self.elsewhere),
            ("messages over streams", self.streamed),
            ("keys", self.keys),
            ("outlived their bindings", self.outlived),
            ("answered only for a prompt", self.answered_in_vain),
            ("outages of carriers", self.outages),
            ("packets", self.packets),
        ]
    }
}
