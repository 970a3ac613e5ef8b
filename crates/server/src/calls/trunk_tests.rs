//! Tests of trunks that somebody waits for: `maskline trunk test`, which asks by OPTIONS.

use super::calls_handle::TrunkAnswer;
use maskline_sip::hop::Hop;
use maskline_switch::Switch;
use tokio::sync::oneshot;

/// See the module.
#[derive(Default)]
pub(super) struct TrunkTests(Vec<Test>);

/// A test of a trunk that has begun.
struct Test {
    name: String,
    since_ms: u64,
    answer: oneshot::Sender<Option<TrunkAnswer>>,
}

impl TrunkTests {
    /// A test of this trunk has begun; `answer` waits for what comes of it.
    pub fn begin(
        &mut self,
        name: String,
        now_ms: u64,
        answer: oneshot::Sender<Option<TrunkAnswer>>,
    ) {
        self.0.push(Test {
            name,
            since_ms: now_ms,
            answer,
        });
    }

    /// Tells what came of tests. `trouble` says why a place cannot be reached, if that is known.
    pub fn answer(
        &mut self,
        switch: &mut Switch,
        now_ms: u64,
        trouble: impl Fn(Hop) -> Option<String>,
    ) {
        for test in std::mem::take(&mut self.0) {
            match switch.tested(&test.name) {
                Some(tested) => {
                    // Who asked may have left.
                    let _ = test.answer.send(Some(TrunkAnswer {
                        at: tested.at,
                        status: tested.status,
                        took_ms: now_ms.saturating_sub(test.since_ms),
                        trouble: trouble(tested.at),
                    }));
                }
                None if test.answer.is_closed() => {}
                None => self.0.push(test),
            }
        }
    }
}
