//! Work that runs ahead on a thread of its own, so that reading, decoding and
//! applying go on side by side.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// How many pieces may wait for the thread. Results wait in turn, but never
/// more than the caller has sent and not taken.
const WAITING_MAX: usize = 2;

/// A thread that does `work` to what is sent, in order.
#[derive(Debug)]
pub(crate) struct Ahead<I, O> {
    inputs: Option<SyncSender<I>>,
    outputs: Receiver<O>,
    thread: Option<JoinHandle<()>>,
    sent: usize,
}

impl<I: Send + 'static, O: Send + 'static> Ahead<I, O> {
    /// Starts the thread.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(mut work: impl FnMut(I) -> O + Send + 'static) -> std::io::Result<Self> {
        let (inputs, to_do) = sync_channel(WAITING_MAX);
        let (done, outputs) = channel();
        let thread = std::thread::Builder::new()
            .name("maskline-decoder".to_owned())
            .spawn(move || {
                for input in to_do {
                    if done.send(work(input)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            inputs: Some(inputs),
            outputs,
            thread: Some(thread),
            sent: 0,
        })
    }

    /// Sends a piece; waits while too many wait already.
    pub fn send(&mut self, input: I) {
        // The thread ends before us only by a panic, which `take` passes on.
        if let Some(inputs) = &self.inputs
            && inputs.send(input).is_ok()
        {
            self.sent += 1;
        }
    }

    /// The next result, if more than `left` are still to come.
    pub fn take(&mut self, left: usize) -> Option<O> {
        if self.sent <= left {
            return None;
        }
        self.sent -= 1;
        match self.outputs.recv() {
            Ok(output) => Some(output),
            Err(_) => self.pass_on_panic(),
        }
    }

    fn pass_on_panic(&mut self) -> Option<O> {
        self.inputs = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_are_all_taken() {
        let mut ahead = Ahead::start(|n: u32| n * 2).expect("a thread");
        let mut got = Vec::new();
        for n in 0..100 {
            ahead.send(n);
            got.extend(std::iter::from_fn(|| ahead.take(2)));
        }
        assert_eq!(got.len(), 98);
        got.extend(std::iter::from_fn(|| ahead.take(0)));
        assert!(got.into_iter().eq((0..100).map(|n| n * 2)));
    }

    #[test]
    fn a_panic_is_passed_on() {
        let caught = std::panic::catch_unwind(|| {
            let mut ahead = Ahead::start(|n: u32| assert_ne!(n, 1)).expect("a thread");
            ahead.send(1);
            ahead.take(0)
        });
        assert!(caught.is_err());
    }
}
