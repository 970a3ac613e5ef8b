//! The disk: a journal and snapshots that survive, and a page cache that need
//! not.

use maskline_domain::{Event, Part, Row, State, Subject, SubsId};
use maskline_journal::Codec;
use maskline_journal::batch::{Batch, Hash, Tip};
use maskline_journal::feed::{Bounds, Feed, Next};
use maskline_journal::payload::{self, Opened, WRITER};
use maskline_journal::replay::{self, Decoded, ReplayError};
use maskline_journal::snapshot::{self as form, Seal};
use std::fmt;
use std::sync::Arc;

use crate::faults::Fault;

/// Rows in one part of a snapshot: few, so that crashes fall between parts.
const ROWS_IN_A_PART: usize = 40;

/// Batches that are taken from memory or from the journal at a time.
const BATCHES_AT_A_TIME: usize = 3;

/// What is on the disk.
pub struct Disk {
    /// The journal, oldest batch first.
    journal: Vec<Batch>,
    /// Reported as written, but lost in a power cut. Empty unless a fault is
    /// planted.
    unsynced: Option<Batch>,
    /// Snapshots, oldest first, finished or not.
    snapshots: Vec<Snapshot>,
    /// Whether it takes no writes.
    pub full: bool,
    /// The form in which batches are kept.
    pub codec: Codec,
}

/// One snapshot.
#[derive(Debug)]
struct Snapshot {
    tip: Tip,
    parts: Vec<Vec<u8>>,
    seal: Option<Seal>,
}

/// A start that did not come to a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoStart(String);

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk")
            .field("journal", &self.journal.len())
            .field("snapshots", &self.snapshots.len())
            .field("full", &self.full)
            .finish_non_exhaustive()
    }
}

impl Disk {
    /// An empty one, whose batches are kept in this form.
    pub fn new(codec: Codec) -> Self {
        Self {
            journal: Vec::new(),
            unsynced: None,
            snapshots: Vec::new(),
            full: false,
            codec,
        }
    }
}

impl Disk {
    /// Makes a batch durable.
    pub fn append(&mut self, batch: Batch) {
        self.journal.extend(self.unsynced.take());
        self.journal.push(batch);
    }

    /// Takes a batch that only the next append makes durable.
    pub fn append_unsynced(&mut self, batch: Batch) {
        self.journal.extend(self.unsynced.replace(batch));
    }

    /// The power goes: what was not synced is lost.
    pub fn cut_power(&mut self) {
        self.unsynced = None;
    }

    /// Whether a start could come to the state of this batch.
    pub fn can_go_back_to(&self, seq: u64) -> bool {
        let whole = self.journal.first().is_some_and(|batch| batch.seq == 1);
        let mut snapshots = self.snapshots.iter();
        let has_snapshot =
            snapshots.any(|snapshot| snapshot.seal.is_some() && snapshot.tip.seq <= seq);
        (whole || has_snapshot) && self.journal.iter().any(|batch| batch.seq == seq)
    }

    /// Drops all that came after this batch, as a backup does not have it.
    pub fn go_back_to(&mut self, seq: u64) {
        self.journal.retain(|batch| batch.seq <= seq);
        self.snapshots.retain(|snapshot| snapshot.tip.seq <= seq);
    }

    /// The number of the newest batch.
    pub fn newest(&self) -> u64 {
        let newest = self.unsynced.as_ref().or(self.journal.last());
        newest.map_or(0, |batch| batch.seq)
    }

    /// Where a start may begin: before the first batch if the journal is whole,
    /// and at each finished snapshot, the newest last.
    pub fn beginnings(&self, fault: Option<Fault>) -> Vec<Option<u64>> {
        let whole = self.journal.first().is_none_or(|batch| batch.seq == 1);
        let believed = fault == Some(Fault::HalfSnapshotBelieved);
        whole
            .then_some(None)
            .into_iter()
            .chain(
                self.snapshots
                    .iter()
                    .filter(|snapshot| snapshot.seal.is_some() || believed)
                    .map(|snapshot| Some(snapshot.tip.seq)),
            )
            .collect()
    }

    /// A start from one of the [`Disk::beginnings`].
    ///
    /// # Errors
    /// [`NoStart`] when a snapshot or the chain does not hold.
    pub fn start(
        &self,
        beginning: Option<u64>,
        fault: Option<Fault>,
    ) -> Result<(State, Tip), NoStart> {
        let (mut state, mut tip) = match beginning {
            None => (State::default(), Tip::GENESIS),
            Some(seq) => self.load(seq, fault)?,
        };
        self.follow(&mut state, &mut tip, fault)?;
        Ok((state, tip))
    }

    /// The batches with these numbers that there are.
    fn stretch(&self, from: u64, upto: u64) -> impl Iterator<Item = &Batch> {
        let all = self.journal.iter().chain(&self.unsynced);
        all.filter(move |batch| (from..=upto).contains(&batch.seq))
    }

    /// Brings a state up to the newest batch.
    ///
    /// # Errors
    /// [`NoStart`] when the chain does not hold.
    pub fn follow(
        &self,
        state: &mut State,
        tip: &mut Tip,
        fault: Option<Fault>,
    ) -> Result<(), NoStart> {
        let from = self.journal.partition_point(|batch| batch.seq <= tip.seq);
        let left: Vec<&Batch> = self.journal[from..].iter().chain(&self.unsynced).collect();
        for (at, batch) in left.iter().enumerate() {
            let is_last = at + 1 == left.len();
            if is_last && fault == Some(Fault::ReplayDropsLastBatch) {
                break;
            }
            if is_last && fault == Some(Fault::ReplayDropsLastEntry) {
                follow_but_last_entry(state, tip, batch, &self.codec)?;
                break;
            }
            let failed = |error: ReplayError| NoStart(error.to_string());
            if fault == Some(Fault::FirstFormLosesB) && batch.payload.first() == Some(&1) {
                let mut read = replay::decode(&mut tip.clone(), batch, &self.codec);
                let read = read.as_mut().map_err(|error| failed(error.clone()))?;
                without_b(&mut read.opened);
                let taken = replay::take_in(state, tip, read);
                taken.map_err(|error| failed(error.into()))?;
                continue;
            }
            replay::follow(state, tip, batch, &self.codec).map_err(failed)?;
        }
        Ok(())
    }

    fn load(&self, seq: u64, fault: Option<Fault>) -> Result<(State, Tip), NoStart> {
        let failed = |why: &str| NoStart(format!("snapshot {seq} {why}"));
        let snapshot = self
            .snapshots
            .iter()
            .find(|snapshot| snapshot.tip.seq == seq)
            .ok_or(failed("is gone"))?;
        let mut state = State::default();
        let mut rows = 0;
        for (place, part) in snapshot.parts.iter().enumerate() {
            let part = form::unpack(part, seq, place as u64, &self.codec);
            let part = part.map_err(|_| failed("cannot be unpacked"))?;
            for row in form::read_rows(&part.bytes).ok_or(failed("cannot be read"))? {
                state.restore(row);
                rows += 1;
            }
        }
        let careless = [
            Some(Fault::HalfSnapshotBelieved),
            Some(Fault::SnapshotMissesARow),
        ];
        if careless.contains(&fault) {
            return Ok((state, snapshot.tip));
        }
        let seal = snapshot.seal.as_ref().ok_or(failed("is not finished"))?;
        let digest = form::digest(state.rows());
        let digest = self.codec.digest_under(seal.key_of_digest(), digest);
        let digest = digest.map_err(|_| failed("has a digest under an unknown key"))?;
        if (seal.rows, &seal.digest) != (rows, &digest.to_string()) {
            return Err(failed("does not have the rows that were written"));
        }
        let tip = Tip {
            seq,
            hash: seal.tip_hash().ok_or(failed("names no hash"))?,
        };
        Ok((state, tip))
    }

    /// Blanks what the journal tells of these parts of a binding that has
    /// ended. Says how many entries that were.
    ///
    /// # Errors
    /// [`NoStart`] when a batch cannot be read.
    pub fn erase(&mut self, binding: SubsId, parts: &[Part]) -> Result<usize, NoStart> {
        let failed = |error: &dyn std::fmt::Display| NoStart(error.to_string());
        let mut erased = 0;
        for batch in self.journal.iter_mut().chain(&mut self.unsynced) {
            let is_meant = |subject: Subject, part: Option<Part>| {
                subject.of == binding.0 && part.is_none_or(|part| parts.contains(&part))
            };
            let blanked = payload::blank(batch, &self.codec, is_meant);
            if let Some(blanked) = blanked.map_err(|error| failed(&error))? {
                batch.personal = blanked.personal;
                erased += blanked.entries;
            }
        }
        Ok(erased)
    }

    /// Drops snapshots that are not needed, and the journal that only they
    /// needed.
    fn tidy(&mut self, writing: Option<u64>) {
        let found: Vec<(u64, Option<Seal>)> = self
            .snapshots
            .iter()
            .rev()
            .map(|snapshot| (snapshot.tip.seq, snapshot.seal.clone()))
            .collect();
        let superfluous = maskline_journal::snapshot::superfluous(&found, writing);
        self.snapshots
            .retain(|snapshot| !superfluous.contains(&snapshot.tip.seq));
        let sealed: Vec<u64> = self
            .snapshots
            .iter()
            .filter(|snapshot| snapshot.seal.is_some())
            .map(|snapshot| snapshot.tip.seq)
            .collect();
        if let [oldest, _, ..] = sealed[..] {
            let newest = self.newest();
            self.journal
                .retain(|batch| batch.seq > oldest || batch.seq == newest);
        }
    }

    /// The rows of the journal and the parts of each finished snapshot, for
    /// putting them into real tables.
    pub fn contents(&self) -> (&[Batch], Vec<(&Seal, Vec<Row>)>) {
        let snapshots = self.snapshots.iter().filter_map(|snapshot| {
            let rows = snapshot
                .parts
                .iter()
                .enumerate()
                .filter_map(|(place, part)| {
                    form::unpack(part, snapshot.tip.seq, place as u64, &self.codec).ok()
                })
                .flat_map(|part| form::read_rows(&part.bytes).unwrap_or_default())
                .collect();
            Some((snapshot.seal.as_ref()?, rows))
        });
        (&self.journal, snapshots.collect())
    }
}

/// Takes B out of every binding that a batch tells of.
fn without_b(opened: &mut Opened) {
    let events = (opened.entries.iter_mut()).flat_map(|entry| &mut entry.events);
    for event in events {
        if let Event::Bound(binding) | Event::BindingChanged(binding) = event {
            binding.b = None;
        }
    }
}

fn follow_but_last_entry(
    state: &mut State,
    tip: &mut Tip,
    batch: &Batch,
    codec: &Codec,
) -> Result<(), NoStart> {
    let failed = |error: &dyn std::fmt::Display| NoStart(error.to_string());
    tip.follow(batch).map_err(|error| failed(&error))?;
    let mut opened = payload::open(batch, codec).map_err(|error| failed(&error))?;
    opened.entries.pop();
    for event in opened.entries.iter().flat_map(|entry| &entry.events) {
        state.apply(event);
    }
    state.advance(opened.at);
    Ok(())
}

/// Writes snapshots in the background, from a state of its own that follows
/// the journal: by what is handed on to it, and by the journal where it is
/// behind that. Beside it another one follows by the journal alone, and the two
/// must be the same.
#[derive(Debug)]
pub struct SnapshotWriter {
    /// By the journal alone.
    state: State,
    tip: Tip,
    /// By what was handed on.
    followed: State,
    followed_to: Tip,
    feed: Feed,
    writing: Option<Writing>,
    /// Batches that it got by memory.
    pub handed_on: u64,
}

#[derive(Debug)]
struct Writing {
    seq: u64,
    rows: Vec<Row>,
    written: usize,
    digest: Hash,
}

impl SnapshotWriter {
    /// One that begins with what a start has made. So much may wait for it.
    pub fn new(state: State, tip: Tip, bounds: Bounds) -> Self {
        Self {
            followed: state.clone(),
            followed_to: tip,
            state,
            tip,
            feed: Feed::new(bounds),
            writing: None,
            handed_on: 0,
        }
    }

    /// Takes what the machine has made durable, or leaves it to the journal.
    pub fn hand_on(&mut self, batch: &Arc<Decoded>, bytes: usize) {
        self.feed.push(batch, bytes);
    }

    /// Takes in at most so many batches; says whether there may be more.
    ///
    /// # Errors
    /// [`NoStart`] when one is missing or comes twice.
    pub fn follow(&mut self, disk: &Disk, batches_max: usize) -> Result<bool, NoStart> {
        let failed = |error: &dyn fmt::Display| NoStart(format!("what is handed on: {error}"));
        let (state, tip) = (&mut self.followed, &mut self.followed_to);
        match self.feed.next(tip.seq, disk.newest(), batches_max) {
            Next::Nothing => return Ok(false),
            Next::Batches(batches) => {
                self.handed_on += batches.len() as u64;
                for batch in batches {
                    replay::take_in(state, tip, &batch).map_err(|error| failed(&error))?;
                }
            }
            Next::Journal { from, upto } => {
                for batch in disk.stretch(from, upto) {
                    replay::follow(state, tip, batch, &disk.codec)
                        .map_err(|error| failed(&error))?;
                }
                if tip.seq != upto {
                    return Err(failed(&format_args!("the journal has no batch {upto}")));
                }
            }
        }
        Ok(true)
    }

    /// The rows that the journal makes, by replay.
    ///
    /// # Errors
    /// [`NoStart`] when the chain does not hold.
    pub fn rows(&mut self, disk: &Disk) -> Result<Vec<Row>, NoStart> {
        disk.follow(&mut self.state, &mut self.tip, None)?;
        Ok(self.state.rows().collect())
    }

    /// Does a bounded piece of a snapshot: begins one, writes a part, or seals
    /// it. Says whether it sealed one.
    ///
    /// # Errors
    /// [`NoStart`] when the chain does not hold.
    pub fn work(&mut self, disk: &mut Disk, fault: Option<Fault>) -> Result<bool, NoStart> {
        let Some(mut writing) = self.writing.take() else {
            self.begin(disk, fault)?;
            return Ok(false);
        };
        let Some(snapshot) = disk
            .snapshots
            .iter_mut()
            .find(|snapshot| snapshot.tip.seq == writing.seq)
        else {
            return Ok(false);
        };
        let left = &writing.rows[writing.written..];
        if left.is_empty() {
            let (digest, digest_key) = disk.codec.keyed_digest(writing.digest);
            snapshot.seal = Some(Seal {
                seq: writing.seq,
                at: 0,
                hash: snapshot.tip.hash.to_string(),
                parts: snapshot.parts.len() as u64,
                rows: writing.rows.len() as u64,
                bindings: 0,
                digest: digest.to_string(),
                digest_key: digest_key.map(|id| id.0),
                writer: WRITER.to_owned(),
                oldest_reader: writing
                    .rows
                    .iter()
                    .map(Row::oldest_reader)
                    .max()
                    .unwrap_or(1),
            });
            disk.tidy(None);
            return Ok(true);
        }
        let rows = &left[..left.len().min(ROWS_IN_A_PART)];
        let place = snapshot.parts.len() as u64;
        let part = form::write_rows(rows.iter().cloned());
        let part = form::pack(&part, writing.seq, place, &disk.codec).expect("no bound");
        writing.written += rows.len();
        snapshot.parts.push(part);
        self.writing = Some(writing);
        Ok(false)
    }

    fn begin(&mut self, disk: &mut Disk, fault: Option<Fault>) -> Result<(), NoStart> {
        let replayed = self.rows(disk)?;
        while self.follow(disk, BATCHES_AT_A_TIME)? {}
        let mut rows: Vec<Row> = self.followed.rows().collect();
        if self.followed_to != self.tip || rows != replayed {
            return Err(NoStart(
                "what was handed on makes another state than the journal".to_owned(),
            ));
        }
        let seq = self.tip.seq;
        let exists = disk
            .snapshots
            .iter()
            .any(|snapshot| snapshot.tip.seq == seq && snapshot.seal.is_some());
        if exists {
            return Ok(());
        }
        let digest = form::digest(rows.iter().cloned());
        if fault == Some(Fault::SnapshotMissesARow) {
            rows.pop();
        }
        disk.tidy(None);
        disk.snapshots.push(Snapshot {
            tip: self.tip,
            parts: Vec::new(),
            seal: None,
        });
        self.writing = Some(Writing {
            seq,
            rows,
            written: 0,
            digest,
        });
        Ok(())
    }
}
