//! What calls need of the ledger: routes from the state, rows in the records. Nothing here makes the loop
//! of calls wait; each answer comes back to it as news.

mod known_trunks;
mod record_writer;

use super::calls_handle::CallsHandle;
use super::owed::{OWES, nothing};
use super::trunk_names::TrunkNames;
use crate::ledger::{CallRecords, Ledger, ReadError, Seeds, Touch};
use crate::seal::Sealer;
use arc_swap::ArcSwap;
use known_trunks::{KnownTrunks, known};
use maskline_domain::call::{Ending, Reached, Reason, ring_tone};
use maskline_domain::call_record::CallRecord;
use maskline_domain::carrier::CarrierName;
use maskline_domain::routing::{self, Route, RouteQuery};
use maskline_domain::state::Trunks;
use maskline_domain::trunk::{candidates, nearest_misfit};
use maskline_domain::{State, ToneCode, TrunkName};
use maskline_media::statistics::Statistics;
use maskline_sip::endpoint::Screen;
use maskline_switch::{CallKey, Input, Routing, TrunkPeer, numbers};
use record_writer::{CLOSING_MAX, RecordRequest, RecordWriter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, timeout};

/// How often the trunks are read again, unless somebody waits for it: so long may calls from a new trunk be
/// refused, or from one that is gone be taken. The destination of a call is read with its route.
const TRUNKS_EVERY: Duration = Duration::from_millis(100);
/// A number with so many digits has its area code.
const DIGITS_WHOLE_MIN: usize = 11;
/// How long the end of the process waits for rows that are being closed.
const FINISH_WAIT_MAX: Duration = Duration::from_secs(10);

/// See the module.
pub struct CallStore {
    ledger: Ledger,
    news: mpsc::Sender<Input<'static>>,
    record_writer: mpsc::UnboundedSender<RecordRequest>,
    seeds: Seeds,
    /// Opens the passwords of trunks.
    sealer: Option<Arc<Sealer>>,
    /// The trunks as they were last seen, with their passwords opened, by name.
    trunks: Arc<ArcSwap<BTreeMap<TrunkName, TrunkPeer>>>,
    /// The ring tones that can be played.
    tones: Arc<BTreeSet<ToneCode>>,
    /// Where trunks are that name a host.
    names: Arc<TrunkNames>,
    calls_handle: CallsHandle,
}

impl CallStore {
    /// A store that answers to `news`. It needs a runtime around it.
    pub fn new(
        ledger: Ledger,
        records: CallRecords,
        news: mpsc::Sender<Input<'static>>,
        sealer: Option<Arc<Sealer>>,
        tones: Arc<BTreeSet<ToneCode>>,
        names: Arc<TrunkNames>,
        calls_handle: CallsHandle,
    ) -> Self {
        Self {
            ledger,
            record_writer: RecordWriter::open(
                records,
                news.clone(),
                OWES.unwrap_or(nothing),
                CLOSING_MAX,
            ),
            news,
            seeds: Seeds::default(),
            sealer,
            trunks: Arc::default(),
            tones,
            names,
            calls_handle,
        }
    }

    /// Asks the state where the call goes.
    ///
    /// The answer comes at once if nothing that it rests on is being written; else as news.
    pub fn ask_route(&self, key: CallKey, query: RouteQuery) -> Option<Box<Routing>> {
        // Chance shares the calls out among trunks; when the system gives none, the first will do.
        let seed = self.seeds.number().unwrap_or_default();
        let (opened, sealer) = (Arc::clone(&self.trunks), self.sealer.clone());
        let (tones, names) = (Arc::clone(&self.tones), Arc::clone(&self.names));
        let calls_handle = self.calls_handle.clone();
        let look = move |state: &State, now| {
            let key = state.number(query.x).and_then(|number| number.class.pool);
            let pool = key.as_ref().and_then(|key| state.pool(key));
            let route = routing::route(state, &query, now);
            let carrier = pool.and_then(|pool| pool.carrier.clone());
            let routing = Box::new(Routing {
                tone: ring_tone::tone(&route, pool, |code| tones.contains(&code)),
                route,
                account: pool.map(|pool| pool.account.clone()),
                pool: key,
                trunks: Vec::new(),
            });
            (routing, carrier, state.trunks_now())
        };
        // In which order trunks are tried takes longer, and nobody needs to wait for it.
        type Looked = (Box<Routing>, Option<CarrierName>, Arc<Trunks>);
        let choose = move |(mut routing, carrier, trunks): Looked| {
            let Route::Connect(connection) = &routing.route else {
                return routing;
            };
            let call = connection.outbound(carrier.as_ref());
            let candidates = candidates(trunks.values(), &call, seed);
            if candidates.is_empty() {
                let nearest = nearest_misfit(trunks.values(), &call);
                calls_handle.metrics().without_trunk(nearest);
            }
            let opened = opened.load();
            routing.trunks = candidates
                .into_iter()
                .filter_map(|trunk| {
                    let before = opened.get(&trunk.name);
                    let before = before.filter(|before| before.definition == *trunk);
                    before
                        .cloned()
                        .or_else(|| known(trunk, &names, sealer.as_deref()))
                })
                .collect();
            routing
        };
        let touch = Touch::Number(query.x);
        if let Some(looked) = self.ledger.try_read(touch, look.clone()) {
            return Some(choose(looked));
        }
        let (ledger, news) = (self.ledger.clone(), self.news.clone());
        tokio::spawn(async move {
            let routing = ledger.read_unblocking(touch, look).await.map(choose);
            if let Err(error) = &routing {
                tracing::error!(%error, "the route of a call cannot be read");
            }
            let _ = news.send(Input::Routed(key, routing.ok())).await;
        });
        None
    }

    /// What refuses calls to numbers that are not ours before anything is remembered of them. Short
    /// numbers may lack an area code that their trunk knows, so they go the long way.
    pub fn screen(&self) -> Screen {
        let ledger = self.ledger.clone();
        let refusal = Ending::of(Reason::XUnknown);
        Box::new(move |invite| {
            let x = numbers::dialled(invite).filter(|x| x.len() >= DIGITS_WHOLE_MIN)?;
            let is_ours = ledger.try_read(Touch::Number(x), |state, _| state.has_number(x))?;
            (!is_ours).then_some((refusal.status, refusal.q850))
        })
    }

    /// Makes the open row of a call durable; [`Input::RowOpened`] follows.
    pub fn open_row(&self, key: CallKey, record: Box<CallRecord>, reached: Vec<Reached>) {
        self.hand_over(RecordRequest::Open(key, record, reached));
    }

    /// Writes what is owed for a milestone of a call that lasts, and how far it is; nothing if nothing is owed.
    pub fn note_milestone(&self, record: Box<CallRecord>, reached: Reached) {
        let update = OWES.and_then(|owes| RecordRequest::update(owes, record, reached));
        if let Some(update) = update {
            self.hand_over(update);
        }
    }

    /// Waits for what the media of a call came to and writes its end, trying again for as long as the disk
    /// takes nothing.
    pub fn finish_call(
        &self,
        statistics: oneshot::Receiver<Statistics>,
        record: Option<Box<CallRecord>>,
        reached: Vec<Reached>,
    ) {
        if let Some(record) = record {
            self.hand_over(RecordRequest::Finish(statistics, record, reached));
        }
    }

    fn hand_over(&self, request: RecordRequest) {
        if self.record_writer.send(request).is_err() {
            tracing::error!("a call cannot be recorded: nobody takes its rows");
        }
    }

    /// Tells the trunks of the state at once, and again whenever they are others than before: ten times a
    /// second they are looked at, and whenever somebody waits for it.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn follow_trunks(&self) -> Result<(), ReadError> {
        let (news, calls_handle) = (self.news.clone(), self.calls_handle.clone());
        let opened = Arc::clone(&self.trunks);
        let (ledger, names) = (self.ledger.clone(), Arc::clone(&self.names));
        let mut reader = KnownTrunks::new(ledger, names, self.sealer.clone());
        let (mut known, mut sealed) = reader.read().await?;
        tell_sealed(&sealed, &[]);
        opened.store(Arc::new(by_name(&known)));
        let _ = news.send(Input::Trunks(known.clone())).await;
        let mut lists = 1;
        let mut wanted = calls_handle.freshness().wanted_looks();
        let mut ticks = tokio::time::interval(TRUNKS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    Ok(()) = wanted.changed() => {}
                    () = news.closed() => return,
                }
                let look = *wanted.borrow_and_update();
                let Ok((trunks, shut)) = reader.read().await else {
                    continue;
                };
                tell_sealed(&shut, &sealed);
                sealed = shut;
                if trunks != known {
                    known = trunks;
                    opened.store(Arc::new(by_name(&known)));
                    if news.send(Input::Trunks(known.clone())).await.is_err() {
                        return;
                    }
                    lists += 1;
                }
                calls_handle.freshness().caught_up(lists, look).await;
            }
        });
        Ok(())
    }

    /// Waits, within reason, until every end is written.
    pub async fn finish(self) {
        let (left, all_written) = oneshot::channel();
        self.hand_over(RecordRequest::Leave(left));
        if !matches!(timeout(FINISH_WAIT_MAX, all_written).await, Ok(Ok(()))) {
            tracing::error!("some calls were not closed in the records; the next start does it");
        }
    }
}

fn by_name(trunks: &[TrunkPeer]) -> BTreeMap<TrunkName, TrunkPeer> {
    let named = trunks.iter().cloned();
    named
        .map(|trunk| (trunk.definition.name.clone(), trunk))
        .collect()
}

/// Tells once of each trunk that is not used, since its password cannot be opened.
fn tell_sealed(sealed: &[TrunkName], told: &[TrunkName]) {
    for trunk in sealed.iter().filter(|trunk| !told.contains(trunk)) {
        let trunk = trunk.as_str();
        tracing::error!(
            trunk,
            "a trunk is not used: its password cannot be opened with this master key"
        );
    }
}
