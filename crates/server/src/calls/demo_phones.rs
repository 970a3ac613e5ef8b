//! Phones that answer by themselves, so that a call in the demo reaches somebody.
//!
//! Any number is one of them. It rings for half a second, answers, plays a melody that begins with a
//! second of 1 kHz, and then says back what it hears, until the other side hangs up. The last four digits
//! of some numbers mean something else, as an ordinary phone may do:
//!
//! | ends in | does |
//! |---|---|
//! | 0001 | is busy: 486, cause 17 |
//! | 0002 | rings and never answers |
//! | 0003 | refuses: 603, cause 21 |
//! | 0004 | answers and hangs up after 3 seconds |
//! | 0005 | tells that it is switched off, before any answer (early media), then 480, cause 20 |
//! | 0006 | cannot be reached: 503, cause 27 |

use maskline_softphone::sound::{melody, special_information};
use maskline_softphone::{Answering, Options, Phone, Reply, Sound};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An address of this machine that nothing else uses. Trunks are told apart by the addresses of their
/// peers, so the phones that are reached must not share one with the phones that call.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 99);
const RINGING: Duration = Duration::from_millis(500);
const SHORT_CALL: Duration = Duration::from_secs(3);
const ANNOUNCEMENT: Duration = Duration::from_secs(3);
/// Calls at once: it is a toy.
const CALLS_MAX: usize = 100;
/// After the wish to stop, how long calls may still end in order.
const LAST_CALLS_MAX: Duration = Duration::from_secs(60);

/// Phones of the demo that are running.
#[derive(Debug)]
pub struct DemoPhones {
    /// Where they listen, all of them.
    pub address: SocketAddr,
    /// Ends when it is told to, and the calls are over.
    pub task: JoinHandle<()>,
}

/// Starts the phones at [`ADDRESS`], or at 127.0.0.1 on systems that have but one loopback address.
///
/// # Errors
/// See [`start`].
pub async fn start_somewhere(peer: SocketAddr, stop: CancellationToken) -> io::Result<DemoPhones> {
    match start((ADDRESS, 0).into(), peer, stop.clone()).await {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            start((Ipv4Addr::LOCALHOST, 0).into(), peer, stop).await
        }
        started => started,
    }
}

/// Starts phones at `listen` that take calls from `peer`, until `stop` is cancelled.
///
/// # Errors
/// When the address cannot be bound, or the system has no randomness to give.
pub async fn start(
    listen: SocketAddr,
    peer: SocketAddr,
    stop: CancellationToken,
) -> io::Result<DemoPhones> {
    let mut options = Options::new(listen);
    let settings = &mut options.settings;
    settings.peer = Some(peer);
    settings.calls_max = CALLS_MAX;
    settings.answering = Answering::ByNumber(reply_to);
    settings.play = melody();
    settings.play.push(Sound::Echo);
    settings.listens = false;
    settings.traces = false;
    let (phone, _) = Phone::start(options).await?;
    Ok(DemoPhones {
        address: phone.address(),
        task: tokio::spawn(async move {
            stop.cancelled().await;
            phone.finish(LAST_CALLS_MAX).await;
        }),
    })
}

/// What the phone of this number does.
fn reply_to(number: &str) -> Reply {
    let last = number.len().saturating_sub(4);
    match number.get(last..).unwrap_or_default() {
        "0001" => Reply::BUSY,
        "0002" => Reply::Ring,
        "0003" => Reply::DECLINED,
        "0004" => Reply::Answer {
            ring: RINGING,
            hang_up: Some(SHORT_CALL),
        },
        "0005" => Reply::Announce {
            sound: special_information(),
            length: ANNOUNCEMENT,
            status: 480,
            cause: Some(20),
        },
        "0006" => Reply::UNREACHABLE,
        _ => Reply::Answer {
            ring: RINGING,
            hang_up: None,
        },
    }
}
