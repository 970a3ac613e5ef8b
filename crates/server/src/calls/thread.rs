//! The thread that carries calls: what it is made of, how it starts and how it ends. What it does is the
//! [`Driver`]'s.
//!
//! It has a runtime of its own, so that a turn of it wakes nobody and waits for nobody's turn.

use super::Config;
use super::call_store::CallStore;
use super::calls_handle::Ask;
use super::driver::{Driver, Pace};
use super::interfaces::Interfaces;
use super::lookups::Lookups;
use super::rejected_messages::RejectedMessages;
use super::sip_connections::SipConnections;
use super::trunk_names::TrunkNames;
use super::trunk_tests::TrunkTests;
use crate::ledger::{CallRecords, Ledger};
use maskline_media::MediaPlane;
use maskline_switch::{Input, Switch};
use std::io;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What the thread is made of.
pub(super) struct Parts {
    pub names: Arc<TrunkNames>,
    pub lookups: Lookups,
    pub socket: std::net::UdpSocket,
    pub connections: SipConnections,
    pub switch: Switch,
    pub media: MediaPlane,
    /// What it tells.
    pub media_events: mpsc::Receiver<maskline_media::Event>,
    pub ledger: Ledger,
    pub records: CallRecords,
    pub news: mpsc::Sender<Input<'static>>,
    pub heard: mpsc::Receiver<Input<'static>>,
    pub asked: mpsc::Receiver<Ask>,
    pub stop: CancellationToken,
    pub config: Config,
}

/// Starts the thread, and waits until it can take calls. It ends when the loop does, or at once when the
/// task that stands for it is aborted.
///
/// # Errors
/// When the system has no thread or no descriptor to give, or the trunks cannot be read.
pub(super) async fn start(parts: Parts) -> io::Result<JoinHandle<()>> {
    let (ready, is_ready) = oneshot::channel();
    let (alive, aborted) = oneshot::channel::<()>();
    let (over, ended) = oneshot::channel::<()>();
    let handle = std::thread::Builder::new()
        .name("calls".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => runtime.block_on(async {
                    tokio::select! {
                        () = carry(parts, ready) => {}
                        _ = aborted => {}
                    }
                }),
                // An error means that the receiver was dropped: nobody waits for the answer.
                Err(error) => drop(ready.send(Err(error))),
            }
            drop(over);
        })?;
    let mut thread = Thread {
        alive: Some(alive),
        handle: Some(handle),
    };
    let task = tokio::spawn(async move {
        // Ends with the thread, however that ends.
        let _ = ended.await;
        if let Some(Err(panic)) = thread.handle.take().map(std::thread::JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    });
    match is_ready.await {
        Ok(Ok(())) => Ok(task),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("the thread that carries calls has ended")),
    }
}

/// The thread from outside. Dropped before its end it ends the thread, and waits until recordings are
/// ended properly.
struct Thread {
    alive: Option<oneshot::Sender<()>>,
    handle: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(Err(_)) = self.handle.take().map(std::thread::JoinHandle::join) {
            tracing::error!("the thread that carries calls ended by a panic");
        }
    }
}

async fn carry(parts: Parts, ready: oneshot::Sender<io::Result<()>>) {
    let prepared = async {
        let socket = UdpSocket::from_std(parts.socket)?;
        let sealer = parts.config.sealer.clone();
        let tones = parts.media.tones();
        let names = Arc::clone(&parts.names);
        let call_store = CallStore::new(
            parts.ledger,
            parts.records,
            parts.news,
            sealer,
            tones,
            names,
            parts.config.calls_handle.clone(),
        );
        call_store.follow_trunks().await.map_err(io::Error::other)?;
        Ok((socket, call_store))
    };
    let (socket, call_store) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => {
            // An error means that the receiver was dropped: nobody waits for the answer.
            let _ = ready.send(Err(error));
            return;
        }
    };
    let mut switch = parts.switch;
    switch.set_screen(call_store.screen());
    let driver = Driver {
        names: parts.names,
        socket,
        connections: parts.connections,
        switch,
        media: parts.media,
        call_store,
        rejected: RejectedMessages::default(),
        lookups: parts.lookups,
        tests: TrunkTests::default(),
        interfaces: Interfaces::default(),
        pace: Pace::new(),
        config: parts.config,
    };
    let _ = ready.send(Ok(()));
    driver
        .run(parts.heard, parts.media_events, parts.asked, parts.stop)
        .await;
}
