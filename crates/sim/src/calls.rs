//! Calls from a seed: phones, carriers and the switch of the server, over a network that loses, copies and
//! reorders, in virtual time.
//!
//! Phones are the SIP machines of `sip`, each with a temper of its own: some are busy, some give up, some go
//! deaf in the middle of a call or vanish. Some answer late or change the media in odd ways, some would have
//! their media go round, and one carrier speaks over streams. Carriers have outages, ports run out, the ledger
//! is slow or full, bindings come and go. The laws: whoever rings is whom the bindings of that moment name, and
//! sees X, over a trunk that may show that X and takes that callee; no side gets a byte that names the other; both speak one codec; media that would come back to its
//! own call is refused, and the call goes on; a ring tone is over when somebody answers; every call ends, with
//! the one record that is owed; and when all calls are over nothing is left, neither a port nor a timer nor a
//! transaction.

mod addresses;
mod agreed;
mod bindings;
mod laws;
mod network;
mod phone;
mod pool_kinds;
pub mod predicted;
mod rewriting;
mod single_call;
mod spread;
mod world;

use spread::spread;
pub use world::Tally;
use world::World;

/// Calls of one world: small enough to be played again quickly.
pub const CALLS_A_ROUND: u64 = 1_000;

/// Something done wrongly on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slip {
    /// Now and then the call goes to another number.
    WrongParty,
    /// A message to one side names a caller.
    Telltale,
    /// The end of a call is kept to itself.
    NoEnd,
    /// A call leaves no record.
    NoRecord,
    /// A milestone of a call that lasts is kept to itself.
    NoMilestone,
    /// Ports are not given back.
    KeptPorts,
    /// Media goes to somebody else.
    StrayMedia,
    /// Another key arrives than was pressed.
    WrongKey,
    /// The two sides of a relay are told two codecs.
    TwoCodecs,
    /// A ring tone goes on when it should be over.
    LongTone,
    /// Where media goes by an earlier offer is heard after the later one.
    StaleMedia,
    /// An offer is taken whose media comes back to its call.
    MediaLoop,
    /// A trunk is chosen as if X were of another pool.
    OtherX,
    /// A trunk is chosen as if somebody else were called.
    OtherCallee,
}

impl Slip {
    /// Each of them.
    pub const ALL: [Self; 14] = [
        Self::WrongParty,
        Self::Telltale,
        Self::NoEnd,
        Self::NoRecord,
        Self::NoMilestone,
        Self::KeptPorts,
        Self::StrayMedia,
        Self::WrongKey,
        Self::TwoCodecs,
        Self::LongTone,
        Self::StaleMedia,
        Self::MediaLoop,
        Self::OtherX,
        Self::OtherCallee,
    ];
}

/// One round to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Where all its chance comes from.
    pub seed: u64,
    /// How many calls.
    pub calls: u64,
    /// What is done wrongly in it.
    pub slip: Option<Slip>,
}

/// A round that failed, and how it is played again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The round.
    pub plan: Plan,
    /// What was found.
    pub what: String,
    /// What happened in the call where it was found.
    pub story: Vec<String>,
}

impl Found {
    /// The command that plays it again.
    pub fn command(&self) -> String {
        let Plan { seed, calls, .. } = self.plan;
        format!("maskline-sim calls --seed {seed} --calls {calls}")
    }
}

/// Plays one world.
///
/// # Errors
/// The first law that was broken.
pub fn round(plan: Plan) -> Result<Tally, Found> {
    let broken = match World::new(plan, None).run() {
        Ok(tally) => return Ok(tally),
        Err(broken) => broken,
    };
    // Once more, with an ear on the call that failed.
    let story = match World::new(plan, broken.call).run() {
        Ok(_) => Vec::new(),
        Err(again) => again.story,
    };
    Err(Found {
        plan,
        what: broken.what,
        story,
    })
}

/// Plays `calls` calls in rounds with seeds from `seed` on, on `threads` threads, until a law is broken.
/// `progress` is told the sum after each round.
///
/// # Errors
/// The failing round with the lowest seed among those found.
pub fn campaign(
    seed: u64,
    calls: u64,
    threads: usize,
    progress: impl Fn(Tally) + Sync,
) -> Result<Tally, Found> {
    let play = |at| {
        round(Plan {
            seed: seed.wrapping_add(at),
            calls: CALLS_A_ROUND.min(calls - at * CALLS_A_ROUND),
            slip: None,
        })
    };
    let rounds = calls.div_ceil(CALLS_A_ROUND);
    spread(rounds, threads, play, Tally::add, progress)
}
