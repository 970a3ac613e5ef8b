//! Who was erased while calls may last that know them.
//!
//! A call carries its record until it ends, and opens and closes its row from
//! it. So the writer takes an erased person out of each record that it is
//! handed, if the call arrived before the erasure. Kept in memory alone: calls
//! do not outlive the process, and what a restart closes it does not fill.

use maskline_domain::{PhoneNumber, SubsId, Timestamp};
use maskline_store::records::call::CallRecord;
use maskline_store::work::RecordWrite;
use parking_lot::Mutex;
use std::collections::BTreeSet;

/// No call lasts so long, in milliseconds: `calls.duration_max_s` is a week at
/// most, and a day is for its beginning and for a disk that takes nothing.
const CALL_MAX_MS: i64 = 8 * 24 * 3_600 * 1_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Erasures(Mutex<Vec<Erasure>>);

#[derive(Debug)]
struct Erasure {
    at: Timestamp,
    number: Option<PhoneNumber>,
    bindings: BTreeSet<SubsId>,
}

impl Erasures {
    /// To be called before the rows are blanked, so that no record comes
    /// between the two.
    pub fn note(&self, at: Timestamp, number: Option<PhoneNumber>, bindings: BTreeSet<SubsId>) {
        let mut all = self.0.lock();
        all.retain(|erasure| at.0 - erasure.at.0 <= CALL_MAX_MS);
        all.push(Erasure {
            at,
            number,
            bindings,
        });
    }

    /// Takes everybody who was erased out of what is about to be written.
    pub fn apply<'a>(&self, writes: impl Iterator<Item = &'a mut RecordWrite>) {
        let all = self.0.lock();
        if all.is_empty() {
            return;
        }
        for write in writes {
            if let RecordWrite::OpenCall(record) | RecordWrite::CloseCall(record) = write {
                all.iter().for_each(|erasure| erasure.apply(record));
            }
        }
    }
}

impl Erasure {
    fn apply(&self, record: &mut CallRecord) {
        // A binding that has ended decides over no later call.
        if record.subs_id.is_some_and(|id| self.bindings.contains(&id)) {
            record.erase();
        }
        if let Some(number) = self.number.filter(|_| record.arrived_at <= self.at) {
            record.erase_number(number);
        }
    }
}
