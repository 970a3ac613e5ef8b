//! Who was erased while calls may last that know them.
//!
//! A call carries its record until it ends, and opens and closes its row from
//! it. So the writer takes an erased person out of each record that it is
//! handed, if the call arrived before the erasure, and writes nothing that is
//! owed with it, which may tell of that person. The same holds of what is owed
//! for calls that an earlier run left open, made of records that were read
//! before. Kept in memory alone: calls do not outlive the process, and the next
//! one reads the records anew.

use maskline_domain::call::Owed;
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
            match write {
                RecordWrite::OpenCall(record, owed)
                | RecordWrite::UpdateCall(record, owed)
                | RecordWrite::CloseCall(record, owed) => erased.apply_to(record, owed),
                // Of the records themselves only what was lost is written.
                RecordWrite::CloseLostCalls { owed, .. } => {
                    for (record, owed) in owed.iter_mut() {
                        erased.apply_to(record, owed);
                    }
                }
            }
        }
    }
}

impl Erased {
    fn apply_to(&self, record: &mut CallRecord, owed: &mut Vec<Owed>) {
        if self.apply(record) {
            owed.clear();
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_domain::call::{Milestone, Reached};
    use maskline_fixtures::domain::party;

    fn call(id: &str, change: impl FnOnce(&mut CallRecord)) -> (CallRecord, Vec<Owed>) {
        let reached = Reached {
            milestone: Milestone::Ended,
            at: Timestamp(90),
        };
        let owed = Owed::new(reached, "receipt", id, Vec::new()).expect("small");
        let mut record = CallRecord {
            call_id: id.into(),
            arrived_at: Timestamp(50),
            ..CallRecord::default()
        };
        change(&mut record);
        (record, vec![owed])
    }

    #[test]
    fn nothing_is_owed_for_a_lost_call_of_somebody_who_was_erased_meanwhile() {
        let person = party(1);
        let of = |party: PhoneNumber| Some(party);
        type Change = Box<dyn Fn(&mut CallRecord)>;
        let rows: [(&str, bool, Change); 10] = [
            ("nobody's", true, Box::new(|_| ())),
            (
                "caller",
                false,
                Box::new(move |call| call.caller = of(person)),
            ),
            (
                "callee",
                false,
                Box::new(move |call| call.callee = of(person)),
            ),
            ("a", false, Box::new(move |call| call.a = of(person))),
            ("b", false, Box::new(move |call| call.b = of(person))),
            (
                "binding",
                false,
                Box::new(|call| call.subs_id = Some(SubsId(7))),
            ),
            (
                "another binding",
                true,
                Box::new(|call| call.subs_id = Some(SubsId(8))),
            ),
            ("other", true, Box::new(|call| call.a = Some(party(2)))),
            (
                "later",
                true,
                Box::new(move |call| {
                    call.caller = of(person);
                    call.arrived_at = Timestamp(61);
                }),
            ),
            (
                "in that moment",
                false,
                Box::new(move |call| {
                    call.caller = of(person);
                    call.arrived_at = Timestamp(60);
                }),
            ),
        ];
        let erasures = Erasures::default();
        erasures.note(Timestamp(60), Some(person), [SubsId(7)]);
        let calls = rows.iter().map(|(row, _, change)| call(row, change));
        let mut writes = [RecordWrite::CloseLostCalls {
            node: "n".into(),
            boot: "b2".into(),
            at: Timestamp(90),
            recordings: Vec::new(),
            owed: calls.collect(),
        }];
        erasures.apply(writes.iter_mut());
        let [RecordWrite::CloseLostCalls { owed, .. }] = writes else {
            panic!("it stays what it is");
        };
        for ((row, is_left, _), (record, owed)) in rows.iter().zip(&owed) {
            assert_eq!(!owed.is_empty(), *is_left, "{row}");
            let parties = [record.caller, record.callee, record.a, record.b];
            let is_person = |party| party == Some(person);
            let holds = parties.into_iter().any(is_person) && record.arrived_at.0 <= 60;
            assert!(!holds, "{row}");
        }
    }
}
