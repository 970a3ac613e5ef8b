//! What a media thread is told, and the queue by which it is told.
//!
//! Who tells it never waits. A thread that is behind gets no new calls long before it misses anything of
//! those that it has, and it always hears of their ends, or their ports would never come back.

use super::ports::MediaSockets;
use super::statistics::Statistics;
use maskline_domain::call::{CallKey, Side, Sound};
use maskline_sip::relay::{LocalMedia, MediaPath, Repeat, Unheard};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use tokio::sync::oneshot;

/// With so many commands waiting a thread takes no new call,
const BEHIND: usize = 8_192;
/// and with so many nothing but the end of one, or of what it is played.
const COMMANDS_MAX: usize = 16_384;

/// What a thread is told.
#[derive(Debug)]
pub enum Command {
    /// A call has these sockets for its caller and its callee; the numbers are drawn by lot.
    Open(CallKey, Box<[MediaSockets; 2]>, [u64; 6]),
    /// Relay between these two from now on.
    Path(CallKey, Box<MediaPath>),
    /// Send a side so much before it has been heard.
    Allow(CallKey, Side, Unheard),
    /// Play to a side.
    Play(CallKey, Side, Sound, Repeat),
    /// Stop that.
    StopPlaying(CallKey, Side),
    /// Record to this file.
    Record(CallKey, String),
    /// Press a key for a side to hear.
    Press(CallKey, Side, char),
    /// The call is over.
    Close(CallKey, oneshot::Sender<Statistics>),
    /// Media of ours has these addresses from now on.
    LocalMedia(Arc<LocalMedia>),
    /// End the thread.
    Stop,
}

impl Command {
    /// It is not taken if so many wait already.
    fn waiting_max(&self) -> usize {
        match self {
            Self::Open(..) => BEHIND,
            Self::Path(..)
            | Self::Allow(..)
            | Self::Play(..)
            | Self::Record(..)
            | Self::Press(..) => COMMANDS_MAX,
            // There are no more of them than of what they end, and addresses change seldom.
            Self::StopPlaying(..) | Self::Close(..) | Self::LocalMedia(_) | Self::Stop => {
                usize::MAX
            }
        }
    }
}

/// A command was not taken, and is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Too many commands wait.
    #[error("the thread is too far behind")]
    Behind,
    /// Nobody reads them any more.
    #[error("the thread has ended")]
    Ended,
}

/// The end of the queue at which a thread is told.
#[derive(Debug)]
pub struct CommandSender {
    commands: Sender<Command>,
    waiting: Arc<AtomicUsize>,
}

/// The thread's end.
#[derive(Debug)]
pub struct Queue {
    commands: Receiver<Command>,
    waiting: Arc<AtomicUsize>,
}

/// An empty queue.
pub fn queue() -> (CommandSender, Queue) {
    let (sender, receiver) = channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let sender = CommandSender {
        commands: sender,
        waiting: Arc::clone(&waiting),
    };
    let queue = Queue {
        commands: receiver,
        waiting,
    };
    (sender, queue)
}

impl CommandSender {
    /// Tells it something.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn tell(&self, command: Command) -> Result<(), NotTaken> {
        if self.waiting.load(Ordering::Relaxed) >= command.waiting_max() {
            return Err(NotTaken::Behind);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.commands.send(command).map_err(|_| NotTaken::Ended)
    }

    /// Whether so many commands wait that no new call is taken.
    pub fn is_behind(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) >= BEHIND
    }
}

impl Queue {
    /// The next command.
    ///
    /// # Errors
    /// When there is none now, or there will be none.
    pub fn next(&self) -> Result<Command, TryRecvError> {
        let command = self.commands.try_recv()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ports::Ports;
    use super::*;
    use std::net::IpAddr;

    fn open(ports: &Arc<Ports>) -> Command {
        let pair = || ports.lend().expect("a free pair");
        Command::Open(1.into(), Box::new([pair(), pair()]), [0; 6])
    }

    fn usual() -> Command {
        Command::Press(1.into(), Side::Caller, '1')
    }

    fn close() -> Command {
        Command::Close(1.into(), oneshot::channel().0)
    }

    #[test]
    fn who_is_behind_gets_no_new_calls_and_hears_of_every_end() {
        let ports = Ports::new(IpAddr::from([127, 0, 0, 1]), 47_640, 47_659);
        let (sender, queue) = queue();
        for _ in 1..BEHIND {
            sender.tell(usual()).expect("room");
        }
        assert!(!sender.is_behind());
        sender.tell(open(&ports)).expect("room");
        assert!(sender.is_behind());
        assert_eq!(sender.tell(open(&ports)), Err(NotTaken::Behind));
        assert_eq!(
            ports.lent(),
            2,
            "those of a call that was not taken are back"
        );
        while sender.tell(usual()).is_ok() {}
        for _ in 0..100 {
            sender.tell(close()).expect("an end is always taken");
        }
        let taken = std::iter::from_fn(|| queue.next().ok());
        let ends = taken.filter(|command| matches!(command, Command::Close(..)));
        assert_eq!(ends.count(), 100);
        sender.tell(open(&ports)).expect("it has caught up");
    }

    #[test]
    fn nobody_left_to_hear_is_noticed() {
        let (sender, queue) = queue();
        drop(queue);
        assert_eq!(sender.tell(close()), Err(NotTaken::Ended));
    }
}
