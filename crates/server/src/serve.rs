//! The process: what is started in which order, what signals do, and how it ends.
//!
//! Order of a start: settings, log, admin port (so that `/healthz` and `/readyz` answer while the
//! state is loading), master key, ledger, demo, customers' ports, calls, jobs; then it is ready.
//! What the surroundings refuse meanwhile (an address, a port, a file, the disk) ends the process with a code
//! of its own ([`Failure::Surroundings`]), after which a supervisor tries again.
//!
//! A stop goes the other way round: not ready, no new work, what was accepted is answered, and the
//! ledger is closed last.

mod addresses;
mod certificates;
mod check;
pub mod descriptors;
mod listen;
mod master;
mod parts;
mod signals;
mod start;
mod supervisor;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use maskline_store::db::sqlite;
use maskline_store::directory::OpenError;
use maskline_store::recovery::RecoverError;
use parking_lot::Mutex;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::admin;
use crate::config::{Inputs, Loaded, Reloader, load};
use crate::demo;
use crate::failure::Failure;
use crate::http_server::connections::{self, Connections};
use crate::ledger::{Ledger, Running, StartError};
use crate::seal::Sealer;
use crate::telemetry::{self, LogHandle, Metrics, Readiness, init_log};

pub use addresses::Addresses;
pub use check::check;
use descriptors::Budget;
pub use master::{keyring, place as master_key_place};
pub use parts::{api_bounds, call_config, gateway_settings, ledger_options, reachable};
use signals::{SignalRequest, Signals};
use start::Started;

/// How long the runtime waits for tasks that did not end.
const RUNTIME_END: Duration = Duration::from_secs(2);

/// Runs the service until it is told to stop.
///
/// # Errors
/// Why it cannot start, or that a part of it ended by itself. An orderly stop is no error.
pub fn run(inputs: Inputs, ready_json: bool) -> Result<(), Failure> {
    // Whatever is written, the owner alone may read.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let loaded = load(&inputs)?;
    let log = init_log(&loaded.settings.log).map_err(Failure::Failed)?;
    for warning in loaded.warnings().iter().chain(&check::warnings(&loaded)) {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let process = Process::new(loaded, inputs, log, ready_json);
    let ended = runtime.block_on(process.run());
    runtime.shutdown_timeout(RUNTIME_END);
    ended
}

struct Process {
    loaded: Loaded,
    inputs: Inputs,
    log: LogHandle,
    ready_json: bool,
    data: PathBuf,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    budget: Budget,
}

impl Process {
    fn new(loaded: Loaded, inputs: Inputs, log: LogHandle, ready_json: bool) -> Self {
        let data = PathBuf::from(&loaded.settings.data);
        let budget = Budget::of_process(&loaded.settings);
        Self {
            budget,
            loaded,
            inputs,
            log,
            ready_json,
            data,
            metrics: Arc::new(Metrics::new()),
            readiness: Readiness::starting(),
        }
    }

    async fn run(self) -> Result<(), Failure> {
        let mut signals = Signals::listen()?;
        let front = AdminFront::open(&self).await?;
        // A stop that comes while the state is loading ends the process at once: nothing was
        // accepted yet.
        let opened = tokio::select! {
            opened = self.open_ledger() => opened?,
            () = stop_told(&mut signals) => return Ok(()),
        };
        let (ledger, running, sealer) = opened;
        let ended = match self.start(&ledger, sealer, &front).await {
            Ok(started) => self.serve(started, &running, &mut signals).await,
            Err(failure) => Err(failure),
        };
        front.close().await;
        running.close().await;
        Addresses::forget(&self.data);
        tracing::info!("stopped");
        ended
    }

    async fn open_ledger(&self) -> Result<(Ledger, Running, Arc<Sealer>), Failure> {
        let keys = master::keys(&self.loaded, &self.data).await?;
        let options = parts::ledger_options(&self.loaded.settings, &self.data);
        let options = options.with_keys(keys.keyring);
        let (ledger, running) = Ledger::open(options).await.map_err(not_opened)?;
        self.metrics
            .register(|registry| ledger.register_metrics(registry));
        Ok((ledger, running, keys.sealer))
    }

    /// Tells that it serves, follows signals, and ends what was started.
    async fn serve(
        &self,
        started: Started,
        running: &Running,
        signals: &mut Signals,
    ) -> Result<(), Failure> {
        let Started {
            addresses,
            mut reloader,
            work,
            mut tasks,
            carriers,
            alive,
        } = started;
        let mut alive = std::pin::pin!(alive);
        self.tell_ready(&addresses);
        let ended = tokio::select! {
            () = &mut alive => Ok(()),
            ended = self.follow(signals, &mut reloader, &mut tasks) => ended,
            () = watch::writer_ended(running) => {
                tracing::error!("the writer ended by itself");
                Err(Failure::Failed("the writer ended by itself".to_owned()))
            }
        };
        tracing::info!("stopping: answering what was accepted");
        supervisor::stopping();
        self.readiness.block("stop", "stopping");
        work.disarm().cancel();
        let last = async {
            while let Some(task) = tasks.join_next().await {
                if let Err(error) = task {
                    tracing::error!(%error, "a part of the service did not end in order");
                }
            }
        };
        tokio::select! {
            () = last => {}
            () = &mut alive => {}
            () = stop_told(signals) => tracing::warn!("told again: not waiting any longer"),
        }
        // Last, as requests that were accepted wait for them.
        carriers.close().await;
        ended
    }

    fn tell_ready(&self, addresses: &Addresses) {
        if let Err(error) = addresses.write(&self.data) {
            tracing::warn!(%error, "the command line will not find this process by itself");
        }
        self.readiness.clear("start");
        self.tell_addresses(addresses);
        if self.loaded.settings.demo {
            demo::tell(&self.data);
        }
        if self.ready_json
            && let Err(error) = addresses.print()
        {
            tracing::warn!(%error, "nobody reads the ready line");
        }
        supervisor::ready();
    }

    fn tell_addresses(&self, addresses: &Addresses) {
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            api = addresses.api,
            https = addresses.https,
            admin = addresses.admin,
            sip = addresses.sip,
            data = %self.data.display(),
            "serving"
        );
    }

    /// Does what signals say until one of them says stop, or a part ends by itself.
    async fn follow(
        &self,
        signals: &mut Signals,
        reloader: &mut Reloader,
        tasks: &mut JoinSet<&'static str>,
    ) -> Result<(), Failure> {
        let reloads = parts::reload_counter(&self.metrics);
        loop {
            tokio::select! {
                told = signals.next() => match told {
                    SignalRequest::Stop => return Ok(()),
                    SignalRequest::Reload => {
                        supervisor::reloading();
                        let done = tokio::task::block_in_place(|| reloader.reload());
                        parts::tell_reload(&reloads, done);
                        supervisor::ready();
                    }
                },
                Some(ended) = tasks.join_next() => {
                    let what = ended.map_or_else(|error| error.to_string(), str::to_owned);
                    tracing::error!(what, "a part of the service ended by itself");
                    return Err(Failure::Failed(format!("{what} ended by itself")));
                }
            }
        }
    }
}

/// A data directory that is in use or cannot be written, or a disk that fails, may be well later; data
/// that cannot be read stay so.
fn not_opened(error: StartError) -> Failure {
    let reason = error.to_string();
    match error {
        StartError::Open(
            OpenError::Database(
                sqlite::FileError::Version(_)
                | sqlite::FileError::Setting(_)
                | sqlite::FileError::Migrate(_)
                | sqlite::FileError::Newer(_),
            )
            | OpenError::Exposed { .. },
        ) => Failure::Failed(reason),
        StartError::Recover(RecoverError::Database(_) | RecoverError::Thread(_))
        | StartError::Open(_)
        | StartError::Database(_)
        | StartError::Keys(_)
        | StartError::Thread(_) => Failure::Surroundings(reason),
        StartError::Recover(_) => Failure::Failed(reason),
    }
}

/// Resolves when a stop is told; reloads in between are for later.
async fn stop_told(signals: &mut Signals) {
    while signals.next().await != SignalRequest::Stop {}
}

/// The admin port: open from the beginning, with the admin API behind it once that exists.
struct AdminFront {
    address: String,
    behind: Arc<Mutex<Option<Router>>>,
    connections: Arc<Connections>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl AdminFront {
    async fn open(process: &Process) -> Result<Self, Failure> {
        let settings = &process.loaded.settings.admin;
        let listener = listen::http(&process.loaded, "admin.listen", &settings.listen).await?;
        let address = listener.local_addr()?.to_string();
        let behind: Arc<Mutex<Option<Router>>> = Arc::default();
        let shown = behind.clone();
        let router = telemetry::router(process.metrics.clone(), process.readiness.clone())
            .fallback(move |request| parts::behind(shown.lock().clone(), request));
        let stop = CancellationToken::new();
        let connections = Connections::new(connections::Bounds {
            total_max: admin::CONNECTIONS.total_max.min(process.budget.admin),
            ..admin::CONNECTIONS
        });
        process
            .metrics
            .register(|registry| connections.register("admin", registry));
        let serving = admin::serve(
            listener,
            connections.clone(),
            router,
            stop.clone().cancelled_owned(),
        );
        let task = tokio::spawn(serving);
        Ok(Self {
            address,
            behind,
            connections,
            stop: stop.drop_guard(),
            task,
        })
    }

    fn serve(&self, router: Router) {
        *self.behind.lock() = Some(router);
    }

    async fn close(self) {
        self.stop.disarm().cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the admin port did not end in order");
        }
    }
}
