//! What carriers answered last about bindings, where they did not do what they were asked: for operators who ask why.

use std::collections::{BTreeMap, VecDeque};

use maskline_domain::provisioning::Answer;
use maskline_domain::{SubsId, Timestamp};

use crate::carrier_client::Seen;

/// Of how many bindings the last answer is kept; a start forgets all.
const KEPT_MAX: usize = 10_000;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastAnswer {
    /// What was asked: `bind`, `update` or `unbind`.
    pub operation: &'static str,
    /// What it means.
    pub answer: Answer,
    /// What was seen, without numbers of people.
    pub seen: Seen,
    /// When.
    pub at: Timestamp,
}

/// The last answers.
#[derive(Debug, Default)]
pub(super) struct LastAnswers {
    by_binding: BTreeMap<SubsId, LastAnswer>,
    /// In the order in which they came.
    order: VecDeque<SubsId>,
}

impl LastAnswers {
    pub fn get(&self, binding: SubsId) -> Option<&LastAnswer> {
        self.by_binding.get(&binding)
    }

    pub fn put(&mut self, binding: SubsId, answer: LastAnswer) {
        if self.by_binding.insert(binding, answer).is_none() {
            self.order.push_back(binding);
        }
        if self.order.len() > KEPT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_binding.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_are_kept_and_the_newest_of_each() {
        let mut kept = LastAnswers::default();
        let answer = |at| LastAnswer {
            operation: "bind",
            answer: Answer::Refused,
            seen: Seen::new("refused: no such number"),
            at: Timestamp(at),
        };
        kept.put(SubsId(1), answer(1));
        kept.put(SubsId(1), answer(2));
        assert_eq!(kept.get(SubsId(1)).map(|last| last.at), Some(Timestamp(2)));
        for id in 2..=KEPT_MAX as u64 + 1 {
            kept.put(SubsId(id), answer(3));
        }
        assert_eq!(kept.get(SubsId(1)), None);
        assert!(kept.get(SubsId(2)).is_some());
        assert_eq!(
            (kept.by_binding.len(), kept.order.len()),
            (KEPT_MAX, KEPT_MAX)
        );
    }
}
