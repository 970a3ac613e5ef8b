//! Where the rows of calls are handed over to the ledger: one task for all calls, so that under load one
//! wake serves many of them.

use super::super::owed::{Owes, for_all};
use crate::ledger::{CallRecords, Written};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use maskline_domain::call::{Milestone, Owed, Reached};
use maskline_domain::call_record::CallRecord;
use maskline_media::statistics::{Recorded, Statistics, Stopped};
use maskline_store::record_writes::{RecordError, RecordWrite};
use maskline_switch::{CallKey, Input};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// The longest wait for the open row of a call; its caller hears nothing meanwhile.
const OPEN_WAIT_MAX: Duration = Duration::from_secs(4);
/// How often it is looked whether one has waited so long.
const OPEN_LOOK_EVERY: Duration = Duration::from_millis(250);
/// Closed calls, and updates for what is owed, that may wait for the disk. Beyond it, which takes a disk that
/// stays full, one is lost and the log says so.
pub(super) const CLOSING_MAX: usize = 20_000;
/// How long to wait before an end is written again: first, and at most.
const AGAIN_FIRST: Duration = Duration::from_millis(50);
const AGAIN_MAX: Duration = Duration::from_secs(5);
/// How long the end of a call waits for what became of its sound.
const STATISTICS_WAIT_MAX: Duration = Duration::from_secs(5);

/// What the writer is given.
pub(super) enum RecordRequest {
    /// Make the open row of a call durable, and say so as news.
    Open(CallKey, Box<CallRecord>, Vec<Reached>),
    /// Write how far a call is, for the sake of what is owed for that.
    Update(Box<CallRecord>, Vec<Owed>),
    /// Write the end of a call, once it is known what became of its sound.
    Finish(oneshot::Receiver<Statistics>, Box<CallRecord>, Vec<Reached>),
    /// Write an end, or an update, that was not written before.
    Again(RecordWrite),
    /// Answer when all ends and updates are written, and close.
    Leave(oneshot::Sender<()>),
}

impl RecordRequest {
    /// What a milestone of a call that lasts is worth: none if nothing is owed for it.
    pub fn update(owes: Owes, record: Box<CallRecord>, reached: Reached) -> Option<Self> {
        let owed = owes(reached, &record);
        (!owed.is_empty()).then_some(Self::Update(record, owed))
    }
}

/// See the module.
pub(super) struct RecordWriter {
    records: CallRecords,
    owes: Owes,
    news: mpsc::Sender<Input<'static>>,
    requests: mpsc::UnboundedReceiver<RecordRequest>,
    /// For ends to come again; it does not keep the writer open.
    again: mpsc::WeakUnboundedSender<RecordRequest>,
    told: mpsc::UnboundedSender<Written>,
    written: mpsc::UnboundedReceiver<Written>,
    /// Calls that wait for their open row, by their ids, and since when.
    opening: HashMap<String, (CallKey, Instant)>,
    /// What is owed for the beginning of calls whose open row was not written: it goes with their ends.
    unopened: HashMap<String, Vec<Owed>>,
    /// How long to wait before the next try, for calls of which the last one failed.
    waits: HashMap<String, Duration>,
    /// Ends and updates that are not durable yet,
    closing: usize,
    /// and how many there may be.
    closing_max: usize,
    leaving: Option<oneshot::Sender<()>>,
}

impl RecordWriter {
    /// Opens a writer that tells `news` of open rows. It closes when it is left, or when nobody can hand
    /// it anything any more. Of ends and updates it holds `closing_max`, usually [`CLOSING_MAX`].
    pub(super) fn open(
        records: CallRecords,
        news: mpsc::Sender<Input<'static>>,
        owes: Owes,
        closing_max: usize,
    ) -> mpsc::UnboundedSender<RecordRequest> {
        // Both hold at most four writes for each call that there is, and `closing_max` ends of others.
        let (sender, requests) = mpsc::unbounded_channel();
        let (told, written) = mpsc::unbounded_channel();
        let writer = Self {
            records,
            owes,
            news,
            requests,
            again: sender.downgrade(),
            told,
            written,
            opening: HashMap::new(),
            unopened: HashMap::new(),
            waits: HashMap::new(),
            closing: 0,
            closing_max,
            leaving: None,
        };
        tokio::spawn(writer.run());
        sender
    }

    async fn run(mut self) {
        let mut counting = FuturesUnordered::new();
        let mut looks = interval(OPEN_LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(RecordRequest::Open(key, record, reached)) => self.open_row(key, record, &reached),
                    Some(RecordRequest::Update(record, owed)) if self.closing < self.closing_max => {
                        self.closing += 1;
                        self.write(RecordWrite::UpdateCall(record, owed));
                    }
                    Some(RecordRequest::Update(..)) => {
                        tracing::error!("what is owed for a call is lost: too many wait for the disk");
                    }
                    Some(RecordRequest::Finish(statistics, record, reached)) if self.closing < self.closing_max => {
                        self.closing += 1;
                        counting.push(counted(statistics, record, reached));
                    }
                    Some(RecordRequest::Finish(_, record, _)) => self.lose(&record),
                    Some(RecordRequest::Again(write)) => self.write(write),
                    Some(RecordRequest::Leave(left)) => self.leaving = Some(left),
                    None => return,
                },
                Some(written) = self.written.recv() => self.on_written(written).await,
                Some((record, reached)) = counting.next() => self.close(record, &reached),
                _ = looks.tick(), if !self.opening.is_empty() => self.give_up_late().await,
            }
            if self.closing == 0
                && let Some(left) = self.leaving.take()
            {
                // A receiver that was dropped needs no answer.
                let _ = left.send(());
                return;
            }
        }
    }

    fn open_row(&mut self, key: CallKey, record: Box<CallRecord>, reached: &[Reached]) {
        let since = Instant::now();
        self.opening.insert(record.call_id.clone(), (key, since));
        let owed = for_all(self.owes, reached, &record);
        self.write(RecordWrite::OpenCall(record, owed));
    }

    fn close(&mut self, record: Box<CallRecord>, reached: &[Reached]) {
        let mut owed = self.unopened.remove(&record.call_id).unwrap_or_default();
        owed.extend(for_all(self.owes, reached, &record));
        self.write(RecordWrite::CloseCall(record, owed));
    }

    /// Turns the end of a call away, and what was to go with it.
    fn lose(&mut self, record: &CallRecord) {
        let owed = self.unopened.remove(&record.call_id);
        tracing::error!(
            call = record.call_id,
            owed_before = owed.map_or(0, |owed| owed.len()),
            "the end of a call is lost, and what is owed for it: too many wait for the disk"
        );
    }

    fn write(&self, write: RecordWrite) {
        self.records.hand_over(write, &self.told);
    }

    async fn on_written(&mut self, written: Written) {
        match (written.write, written.result) {
            (RecordWrite::OpenCall(record, owed), result) => {
                let opening = self.opening.remove(&record.call_id);
                if result.is_err() && !owed.is_empty() {
                    self.owe_later(record.clone(), owed, opening.is_some());
                }
                // One that has waited too long was turned away.
                let Some((key, _)) = opening else {
                    return;
                };
                if let Err(error) = &result {
                    tracing::error!(%error, call = record.call_id, "a call is turned away, since it cannot be recorded");
                }
                self.tell(Input::RowOpened(key, result.is_ok())).await;
            }
            (RecordWrite::CloseCall(record, _), Ok(_)) => {
                self.closed(&record);
                log(&record);
            }
            (RecordWrite::UpdateCall(record, _), Ok(_)) => self.closed(&record),
            (
                RecordWrite::CloseCall(record, owed),
                Err(error @ (RecordError::NotDurable | RecordError::Busy)),
            ) => {
                let call = record.call_id.clone();
                tracing::warn!(%error, call, "the end of a call is not written yet");
                self.try_again(call, RecordWrite::CloseCall(record, owed));
            }
            (
                RecordWrite::UpdateCall(record, owed),
                Err(error @ (RecordError::NotDurable | RecordError::Busy)),
            ) => {
                let call = record.call_id.clone();
                tracing::warn!(%error, call, "what is owed for a call is not written yet");
                self.try_again(call, RecordWrite::UpdateCall(record, owed));
            }
            (RecordWrite::CloseCall(record, _), Err(error)) => {
                tracing::error!(%error, call = record.call_id, "the end of a call cannot be written");
                self.closed(&record);
            }
            // Its row may be on its way: that of a call whose beginning was not written comes with its end.
            (RecordWrite::UpdateCall(record, owed), Err(RecordError::Conflict))
                if self.may_come(&record.call_id) =>
            {
                let call = record.call_id.clone();
                self.try_again(call, RecordWrite::UpdateCall(record, owed));
            }
            (RecordWrite::UpdateCall(record, _), Err(error)) => {
                tracing::error!(%error, call = record.call_id, "what is owed for a call cannot be written");
                self.closed(&record);
            }
            // Not handed over here.
            (RecordWrite::CloseLostCalls { .. }, _) => {}
        }
    }

    fn closed(&mut self, record: &CallRecord) {
        self.waits.remove(&record.call_id);
        self.closing -= 1;
    }

    /// What was owed with an open row that was not written goes with the end of its call; by itself if that end may be
    /// on its way already.
    fn owe_later(&mut self, record: Box<CallRecord>, owed: Vec<Owed>, lasts: bool) {
        if lasts {
            self.unopened.insert(record.call_id.clone(), owed);
        } else {
            self.closing += 1;
            self.write(RecordWrite::UpdateCall(record, owed));
        }
    }

    /// Whether the end of a call may still be on its way, by how often it was tried: for longer than an end waits.
    fn may_come(&self, call: &str) -> bool {
        self.waits.get(call).is_none_or(|next| *next < AGAIN_MAX)
    }

    fn try_again(&mut self, call: String, write: RecordWrite) {
        let wait = self.waits.get(&call).copied();
        let wait = wait.unwrap_or(AGAIN_FIRST);
        let next = (wait * 2).min(AGAIN_MAX);
        self.waits.insert(call, next);
        let writer = self.again.clone();
        tokio::spawn(async move {
            sleep(wait).await;
            if let Some(writer) = writer.upgrade() {
                let _ = writer.send(RecordRequest::Again(write));
            }
        });
    }

    /// Turns calls away whose open rows take too long.
    async fn give_up_late(&mut self) {
        let late: Vec<_> = (self.opening)
            .extract_if(|_, (_, since)| since.elapsed() >= OPEN_WAIT_MAX)
            .collect();
        for (call, (key, _)) in late {
            tracing::error!(
                call,
                "a call is turned away, since its record takes too long"
            );
            self.tell(Input::RowOpened(key, false)).await;
        }
    }

    async fn tell(&self, news: Input<'static>) {
        // Nobody hears it when the calls are over.
        let _ = self.news.send(news).await;
    }
}

/// A call that never had ports has no statistics, and one whose recording hangs on a dead disk is closed
/// without. That there is a recording is known here first, so it is told here.
async fn counted(
    statistics: oneshot::Receiver<Statistics>,
    mut record: Box<CallRecord>,
    mut reached: Vec<Reached>,
) -> (Box<CallRecord>, Vec<Reached>) {
    if let Ok(Ok(statistics)) = timeout(STATISTICS_WAIT_MAX, statistics).await {
        let recording = statistics.recording.as_ref().filter(has_sound);
        let recorded = recording.and(record.released_at).map(|at| Reached {
            milestone: Milestone::Recorded,
            at,
        });
        reached.extend(recorded);
        record.one_way = record.answered_at.map(|_| statistics.is_one_way());
        record.media = serde_json::to_string(&statistics).ok();
    }
    (record, reached)
}

/// Whether there is a file that can be heard: one that ended early, since the disk was full, can.
fn has_sound(recorded: &&Recorded) -> bool {
    match recorded.stopped {
        None => true,
        Some(Stopped::DiskFull) => recorded.milliseconds > 0,
        Some(Stopped::Failed | Stopped::Codec) => false,
    }
}

/// One line for each call, once its record is closed; numbers show themselves masked.
fn log(record: &CallRecord) {
    let shown =
        |number: Option<maskline_domain::PhoneNumber>| number.map(|number| number.to_string());
    let talked_ms = record
        .answered_at
        .zip(record.released_at)
        .map(|(from, to)| to.millis() - from.millis());
    tracing::info!(
        call = record.call_id,
        x = shown(record.x),
        caller = shown(record.caller),
        callee = shown(record.callee),
        situation = record.situation,
        released_by = record.release_by,
        status = record.sip_status,
        cause = record.q850_cause,
        talked_ms,
        one_way = record.one_way,
        "a call has ended"
    );
}

#[cfg(test)]
mod tests;
