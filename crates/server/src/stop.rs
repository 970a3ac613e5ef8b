//! One word to all parts: stop.

use tokio::sync::watch;

/// Says stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Hears stop; cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Both ends.
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// From now on every [`Stop`] has been told.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Resolves once stop was said, or nobody is left to say it.
    pub async fn told(mut self) {
        // An error means that the sender is gone, which comes to the same.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }

    /// The same as a channel that becomes true.
    pub fn receiver(&self) -> watch::Receiver<bool> {
        self.0.clone()
    }

    /// Whether stop was said.
    pub fn is_told(&self) -> bool {
        *self.0.borrow()
    }
}
