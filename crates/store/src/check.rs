//! Replays and verifies everything that a data directory holds.

use std::collections::{BTreeMap, HashMap};

use maskline_domain::{Binding, Event, PhoneNumber, Slot, State, SubsId};

use crate::data_key;
use crate::db::{Connection, Error, sql, sqlite};
use crate::journal;
use crate::records::{call, history, projection};
use crate::recovery::{self, RecoverError};
use crate::snapshot::{self, SnapshotError};
use maskline_journal::Codec;
use maskline_journal::batch::{Batch, Hash, Tip};
use maskline_journal::payload;
use maskline_journal::snapshot::Seal;

/// Batches read at a time.
const BATCHES: u32 = 256;
/// Rows of the records read at a time.
const ROWS: u32 = 1_000;
/// So many rows of a table that cannot be read are named; the others are counted.
const NAMED_MAX: usize = 20;

/// What was found. Everything is well when `problems` is empty.
#[derive(Debug, Default)]
pub struct Report {
    /// Batches whose chain, payload and commitments hold.
    pub batches: u64,
    /// Events in them.
    pub events: u64,
    /// Events whose personal values were erased.
    pub erased: u64,
    /// Snapshots that are what a replay gives.
    pub snapshots: u64,
    /// Bindings in the newest state.
    pub bindings: usize,
    /// The newest batch.
    pub seq: u64,
    /// Whether state, snapshots and personal values were looked at; without the keys of what is sealed only the chain
    /// and the order of the batches are.
    pub state_checked: bool,
    /// What is wrong, a sentence each. Contains no numbers of people.
    pub problems: Vec<String>,
}

/// Why nothing more can be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The database said no.
    #[error("cannot read the database: {0}")]
    Database(#[from] Error),
}

/// Checks everything, in a read-only connection. `progress` is told the batch
/// reached and the last one.
///
/// # Errors
/// [`CheckError`] when the database itself cannot be read; everything else is
/// in the report.
pub async fn check(
    conn: &mut Connection,
    codec: &Codec,
    mut progress: impl FnMut(u64, u64),
) -> Result<Report, CheckError> {
    let mut report = Report::default();
    let damage = sqlite::integrity_check(conn).await?;
    let damage = damage
        .iter()
        .map(|told| format!("the database file is damaged: {told}"));
    report.problems.extend(damage);
    let newest = journal::tip(conn).await?;
    report.seq = newest.seq;
    let is_sealed = !data_key::list(conn).await?.is_empty();
    if is_sealed && !codec.opens() {
        follow_chain(conn, newest, &mut report, &mut progress).await?;
        check_rows(conn, &mut report).await?;
        return Ok(report);
    }
    report.state_checked = true;
    let seals = seals(conn, codec, &mut report).await?;
    let Some((state, tip)) =
        replay(conn, codec, &seals, newest, &mut report, &mut progress).await?
    else {
        return Ok(report);
    };
    if tip != newest {
        report.problems.push(format!(
            "the journal ends at batch {} but can be followed to {} only",
            newest.seq, tip.seq
        ));
    }
    report.bindings = state.bindings_len();
    check_slots(&state, &mut report);
    check_records(conn, &state, newest, &mut report).await?;
    check_rows(conn, &mut report).await?;
    Ok(report)
}

/// Follows chain and order of the whole journal, which needs no key.
async fn follow_chain(
    conn: &mut Connection,
    newest: Tip,
    report: &mut Report,
    progress: &mut impl FnMut(u64, u64),
) -> Result<(), CheckError> {
    let first = journal::first(conn).await?.unwrap_or(1);
    let mut read = before(conn, first).await?;
    loop {
        let batches = journal::read(conn, read.seq + 1, BATCHES).await?;
        if batches.is_empty() {
            break;
        }
        for batch in &batches {
            if let Err(error) = read.follow(batch) {
                report.problems.push(error.to_string());
                return Ok(());
            }
            report.batches += 1;
        }
        progress(read.seq, newest.seq);
    }
    Ok(())
}

/// Where the chain stands before batch `first`.
async fn before(conn: &mut Connection, first: u64) -> Result<Tip, CheckError> {
    Ok(match journal::get(conn, first).await? {
        Some(batch) => Tip {
            seq: first - 1,
            hash: batch.prev_hash,
        },
        None => Tip::GENESIS,
    })
}

/// A snapshot that can be read.
struct Sound {
    seal: Seal,
    /// The digest of its state over rows of today: its seal may be over those of an older form.
    digest: Hash,
}

/// The sealed snapshots, by batch.
async fn seals(
    conn: &mut Connection,
    codec: &Codec,
    report: &mut Report,
) -> Result<BTreeMap<u64, Sound>, CheckError> {
    let mut seals = BTreeMap::new();
    for (seq, seal) in snapshot::list(conn).await? {
        // One without its last row is what a crash leaves; it does no harm.
        if let Some(seal) = seal {
            match load(conn, codec, &seal).await? {
                Ok(state) => {
                    let digest = maskline_journal::snapshot::digest(state.rows());
                    seals.insert(seq, Sound { seal, digest });
                }
                Err(error) => report.problems.push(error.to_string()),
            }
        }
    }
    Ok(seals)
}

async fn load(
    conn: &mut Connection,
    codec: &Codec,
    seal: &Seal,
) -> Result<Result<State, SnapshotError>, CheckError> {
    match recovery::load(conn, codec, seal).await {
        Err(SnapshotError::Database(error)) => Err(error.into()),
        other => Ok(other),
    }
}

/// Follows the whole journal; `None` when it has no usable beginning.
async fn replay(
    conn: &mut Connection,
    codec: &Codec,
    seals: &BTreeMap<u64, Sound>,
    newest: Tip,
    report: &mut Report,
    progress: &mut impl FnMut(u64, u64),
) -> Result<Option<(State, Tip)>, CheckError> {
    let first = journal::first(conn).await?.unwrap_or(1);
    // From the very beginning if it is there; otherwise the part before the
    // oldest snapshot can only be read, not replayed.
    let mut replayed = (first == 1).then(|| (State::default(), Tip::GENESIS));
    let mut read = before(conn, first).await?;
    loop {
        let batches = journal::read(conn, read.seq + 1, BATCHES).await?;
        if batches.is_empty() || read.seq >= newest.seq {
            break;
        }
        for batch in &batches {
            if replayed.is_none()
                && let Some(seal) = seals.get(&(batch.seq - 1))
            {
                replayed = begin(conn, codec, seal, report).await?;
            }
            if !follow(batch, codec, &mut read, &mut replayed, report) {
                return Ok(replayed);
            }
            if let (Some((state, _)), Some(seal)) = (&replayed, seals.get(&batch.seq)) {
                compare(state, seal, read, report);
            }
        }
        progress(read.seq, newest.seq);
    }
    if replayed.is_none()
        && let Some(seal) = seals.get(&newest.seq)
    {
        replayed = begin(conn, codec, seal, report).await?;
    }
    if replayed.is_none() {
        report.problems.push(format!(
            "the journal begins at batch {first} and no snapshot leads up to it"
        ));
    }
    Ok(replayed)
}

async fn begin(
    conn: &mut Connection,
    codec: &Codec,
    sound: &Sound,
    report: &mut Report,
) -> Result<Option<(State, Tip)>, CheckError> {
    let seal = &sound.seal;
    let (Ok(state), Some(hash)) = (load(conn, codec, seal).await?, seal.tip_hash()) else {
        return Ok(None);
    };
    let tip = Tip {
        seq: seal.seq,
        hash,
    };
    compare(&state, sound, tip, report);
    Ok(Some((state, tip)))
}

/// Reads one batch and applies it; `false` when there is no going on.
fn follow(
    batch: &Batch,
    codec: &Codec,
    read: &mut Tip,
    replayed: &mut Option<(State, Tip)>,
    report: &mut Report,
) -> bool {
    if let Err(error) = read.follow(batch) {
        report.problems.push(error.to_string());
        return false;
    }
    let opened = match payload::open(batch, codec) {
        Ok(opened) => opened,
        Err(error) => {
            report.problems.push(error.to_string());
            return false;
        }
    };
    report.batches += 1;
    report.erased += opened.events_erased() as u64;
    let events = opened.entries.iter().flat_map(|entry| &entry.events);
    report.events += events.clone().count() as u64;
    let Some((state, tip)) = replayed else {
        return true;
    };
    for event in events {
        if let Event::Bound(binding) | Event::BindingChanged(binding) = event
            && let Some(other) = holder(state, binding)
        {
            report.problems.push(format!(
                "batch {}: binding {} takes a slot of its X number from binding {other}",
                batch.seq, binding.subs_id
            ));
        }
        state.apply(event);
    }
    state.advance(opened.at);
    if let Err(error) = match tip.follow(batch) {
        Ok(()) => Ok(()),
        Err(error) => Err(RecoverError::Replay(error.into())),
    } {
        report.problems.push(error.to_string());
        return false;
    }
    true
}

/// Another binding that holds a slot which `binding` claims.
fn holder(state: &State, binding: &Binding) -> Option<SubsId> {
    binding
        .slots()
        .filter_map(|slot| state.slot(binding.x, slot))
        .map(|other| other.subs_id)
        .find(|&other| other != binding.subs_id)
}

fn compare(state: &State, Sound { seal, digest }: &Sound, tip: Tip, report: &mut Report) {
    if maskline_journal::snapshot::digest(state.rows()) != *digest {
        report.problems.push(format!(
            "the snapshot of batch {} is not what the journal gives",
            seal.seq
        ));
    } else if seal.tip_hash() != Some(tip.hash) {
        report.problems.push(format!(
            "the snapshot of batch {} was taken after another batch than the one in the journal",
            seal.seq
        ));
    } else {
        report.snapshots += 1;
    }
}

/// Looks for doubled slots without asking the state's own indexes.
fn check_slots(state: &State, report: &mut Report) {
    let mut holders: HashMap<(PhoneNumber, Slot), SubsId> = HashMap::new();
    for binding in state.bindings() {
        for slot in binding.slots() {
            if let Some(other) = holders.insert((binding.x, slot), binding.subs_id) {
                report.problems.push(format!(
                    "bindings {} and {other} hold the same slot of an X number",
                    binding.subs_id
                ));
            }
        }
    }
}

/// Compares the records with the state, as far as they have read the journal.
async fn check_records(
    conn: &mut Connection,
    state: &State,
    newest: Tip,
    report: &mut Report,
) -> Result<(), CheckError> {
    let position = projection::position(conn).await?;
    if position > newest.seq {
        report.problems.push(format!(
            "the records claim to have read batch {position}, but the journal ends at {}",
            newest.seq
        ));
        return Ok(());
    }
    let first = journal::first(conn).await?.unwrap_or(1);
    if position + 1 < first {
        report.problems.push(format!(
            "the records have read up to batch {position}, but the journal begins at {first}"
        ));
    }
    if position == newest.seq {
        let live = sql("SELECT COUNT(*) AS live FROM binding_history WHERE ended_at IS NULL");
        let live: i64 = conn.fetch_one(live).await?.get("live")?;
        // What a carrier is told to let go has ended.
        let is_let_go = |binding: &Binding| {
            let provision = binding.provision.as_deref();
            provision.is_some_and(|provision| provision.phase.is_releasing())
        };
        let known = state
            .bindings()
            .filter(|binding| !is_let_go(binding))
            .count();
        if live as usize != known {
            report.problems.push(format!(
                "the binding history knows {live} live bindings, the state {}",
                state.bindings_len()
            ));
        }
    }
    Ok(())
}

/// Reads every row of the records. Those in tables of an older program are brought into the form of today by the next
/// start, and not read before.
async fn check_rows(conn: &mut Connection, report: &mut Report) -> Result<(), CheckError> {
    if !sqlite::tables_are_of_today(conn).await? {
        return Ok(());
    }
    let mut unreadable = Vec::new();
    let (mut found, mut last) = history::unreadable(conn, None, ROWS).await?;
    while last.is_some() {
        unreadable.extend(found.into_iter().map(|id| id.to_string()));
        (found, last) = history::unreadable(conn, last, ROWS).await?;
    }
    name(
        unreadable,
        "the row of binding",
        "rows of the history",
        report,
    );
    let mut unreadable = Vec::new();
    let (mut found, mut last) = call::unreadable(conn, "", ROWS).await?;
    while let Some(after) = last {
        unreadable.extend(found.into_iter().map(|record| record.call_id));
        (found, last) = call::unreadable(conn, &after, ROWS).await?;
    }
    name(unreadable, "the record of call", "call records", report);
    Ok(())
}

/// Tells of rows that cannot be read.
fn name(unreadable: Vec<String>, one: &str, many: &str, report: &mut Report) {
    let all = unreadable.len();
    let named = unreadable.iter().take(NAMED_MAX);
    let named = named.map(|id| format!("{one} {id} cannot be read"));
    report.problems.extend(named);
    if let Some(more) = all.checked_sub(NAMED_MAX + 1) {
        let more = more + 1;
        report
            .problems
            .push(format!("{more} more {many} cannot be read"));
    }
}
