//! Who was erased while calls may last that know them.
//!
//! A call carries its record until it ends, and opens and closes its row from
//! it. So the writer takes an erased person out of each record that it is
//! handed, if the call arrived before the erasure, and writes nothing that is
//! owed with it, which may tell of that person. Kept in memory alone: calls
//! do not outlive the process, and what a restart closes it does not fill.

use maskline_domain::call_record::CallRecord;
use maskline_domain::{PhoneNumber, SubsId, Timestamp};
use maskline_store::record_writes::RecordWrite;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// No call lasts so long, in milliseconds: `calls.duration_max_s` is a week at
/// most, and a day is for its beginning and for a disk that takes nothing.
const CALL_MAX_MS: i64 = 8 * 24 * 3_600 * 1_000;

/// See the module. Looked up for each record, so that many erasures cost no more than few.
#[derive(Debug, Default)]
pub(super) struct Erasures(Mutex<Erased>);

/// Who was erased, and when at last.
#[derive(Debug, Default)]
struct Erased {
    numbers: BTreeMap<PhoneNumber, Timestamp>,
    bindings: BTreeMap<SubsId, Timestamp>,
}

impl Erasures {
    /// To be called before the rows are blanked, so that no record comes
    /// between the two.
    pub fn note(
        &self,
        at: Timestamp,
        number: Option<PhoneNumber>,
        bindings: impl IntoIterator<Item = SubsId>,
    ) {
        let mut erased = self.0.lock();
        let is_fresh = |since: &Timestamp| at.0 - since.0 <= CALL_MAX_MS;
        erased.numbers.retain(|_, since| is_fresh(since));
        erased.bindings.retain(|_, since| is_fresh(since));
        erased.numbers.extend(number.map(|number| (number, at)));
        let bindings = bindings.into_iter().map(|binding| (binding, at));
        erased.bindings.extend(bindings);
    }

    /// Takes everybody who was erased out of what is about to be written.
    pub fn apply<'a>(&self, writes: impl Iterator<Item = &'a mut RecordWrite>) {
        let erased = self.0.lock();
        if erased.numbers.is_empty() && erased.bindings.is_empty() {
            return;
        }
        for write in writes {
            if let RecordWrite::OpenCall(record, owed)
            | RecordWrite::UpdateCall(record, owed)
            | RecordWrite::CloseCall(record, owed) = write
                && erased.apply(record)
            {
                owed.clear();
            }
        }
    }
}

impl Erased {
    /// Says whether anybody was taken out.
    fn apply(&self, record: &mut CallRecord) -> bool {
        let mut is_changed = false;
        // A binding that has ended decides over no later call.
        let binding = record.subs_id;
        if binding.is_some_and(|binding| self.bindings.contains_key(&binding)) {
            record.erase_texts();
            is_changed = true;
        }
        let parties = [record.caller, record.callee, record.a, record.b];
        for party in parties.into_iter().flatten() {
            let erased_at = self.numbers.get(&party);
            if erased_at.is_some_and(|at| record.arrived_at <= *at) {
                record.erase_number(party);
                is_changed = true;
            }
        }
        is_changed
    }
}
