//! The process: what is started in which order, what signals do, and how it ends.
//!
//! Order of a start: settings, log, admin port (so that `/healthz` and `/readyz` answer while the
//! state is loading), master key, ledger, demo, customers' ports, calls, jobs; then it is ready.
//! A stop goes the other way round: not ready, no new work, what was accepted is answered, and the
//! ledger is closed last.

mod addresses;
mod certificate;
mod listen;
mod master;
mod parts;
mod signals;
mod stop;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::admin::{self, Admin, AdminToken};
use crate::api::{self, ApiMetrics, Gateway};
use crate::cli::Failure;
use crate::config::{Inputs, Loaded, Reloader, load};
use crate::jobs::{self, JobMetrics};
use crate::seal::Sealer;
use crate::telemetry::{self, LogHandle, Metrics, Readiness, init_log};
use crate::writer::{Ledger, Running, clocks};
use crate::{calls, demo};

pub use addresses::Addresses;
use signals::{Signals, Told};
pub use stop::{Stop, Stopper};

/// How long the runtime waits for tasks that did not end.
const RUNTIME_END: Duration = Duration::from_secs(2);

/// Runs the service until it is told to stop.
///
/// # Errors
/// Why it cannot start. An orderly stop is no error.
pub fn run(inputs: Inputs, ready_json: bool) -> Result<(), Failure> {
    let loaded = load(&inputs)?;
    let log = init_log(&loaded.settings.log).map_err(Failure::Failed)?;
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
}

/// What runs, and how to end it.
struct Started {
    addresses: Addresses,
    reloader: Reloader,
    /// Ends what takes new work.
    work: Stopper,
    tasks: Vec<JoinHandle<()>>,
}

impl Process {
    fn new(loaded: Loaded, inputs: Inputs, log: LogHandle, ready_json: bool) -> Self {
        let data = PathBuf::from(&loaded.settings.data);
        Self {
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
            Ok(started) => {
                self.serve(started, &mut signals).await;
                Ok(())
            }
            Err(failure) => Err(failure),
        };
        front.close().await;
        running.close().await;
        Addresses::forget(&self.data);
        tracing::info!("stopped");
        ended
    }

    async fn open_ledger(&self) -> Result<(Ledger, Running, Arc<Sealer>), Failure> {
        let sealer = master::sealer(&self.loaded, &self.data).await?;
        let options = parts::ledger_options(&self.loaded.settings);
        let (ledger, running) = Ledger::open(options)
            .await
            .map_err(|error| Failure::Failed(error.to_string()))?;
        self.metrics
            .register(|registry| ledger.register_metrics(registry));
        Ok((ledger, running, Arc::new(sealer)))
    }

    /// Starts everything above the ledger.
    async fn start(
        &self,
        ledger: &Ledger,
        sealer: Arc<Sealer>,
        front: &AdminFront,
    ) -> Result<Started, Failure> {
        let settings = &self.loaded.settings;
        let failed =
            |what: &str, error: &dyn std::fmt::Display| Failure::Failed(format!("{what}: {error}"));
        let token_file = self.data.join("admin.token");
        let token = AdminToken::read_or_make(&token_file)
            .map_err(|error| failed(&token_file.display().to_string(), &error))?;
        let admin = Arc::new(Admin {
            ledger: ledger.clone(),
            sealer: sealer.clone(),
            token,
            readiness: self.readiness.clone(),
            started: Instant::now(),
        });
        if settings.demo {
            demo::prepare(&admin, &self.data)
                .await
                .map_err(|error| failed("the demo cannot be made", &error))?;
        }

        let certificate = certificate::obtain(&self.loaded, &self.data)?;
        let http = listen::tcp(&self.loaded, "api.listen", &settings.api.listen).await?;
        let https = match (&certificate, settings.https()) {
            (Some(_), Some(address)) => {
                Some(listen::tcp(&self.loaded, "api.https", address).await?)
            }
            _ => None,
        };
        let (work, stop) = stop::channel();
        let boot = Uuid::new_v4().to_string();
        let call_config = parts::call_config(&self.loaded, boot).await?;
        let call_listen = call_config.listen;
        let serving = calls::serve(
            call_config,
            ledger.clone(),
            ledger.records(),
            stop.receiver(),
        )
        .await
        .map_err(|error| {
            let reason = format!("cannot serve calls on {call_listen}: {error}");
            self.loaded.refuse("sip.listen", reason)
        })?;

        let local =
            |listener: &tokio::net::TcpListener| listener.local_addr().map(|a| a.to_string());
        let addresses = Addresses {
            api: local(&http)?,
            https: https.as_ref().map(local).transpose()?,
            admin: front.address.clone(),
            sip: Some(serving.address.to_string()),
        };
        let mut tasks = vec![serving.task];
        if settings.demo {
            let peer = parts::reachable(serving.address);
            let phone =
                calls::sandbox::start(parts::sandbox_listen(), peer, stop.receiver()).await?;
            demo::point_sandbox(&admin, phone.address)
                .await
                .map_err(|error| failed("the sandbox trunk", &error))?;
            tasks.push(phone.task);
        }

        let api_metrics = ApiMetrics::default();
        self.metrics
            .register(|registry| api_metrics.register(registry));
        let gateway = Arc::new(Gateway::new(
            ledger.clone(),
            sealer,
            Arc::new(|| clocks().wall),
            parts::gateway_settings(settings),
            api_metrics,
        ));
        let mut reloader = Reloader::new(self.inputs.clone(), &self.loaded);
        reloader.follow(self.log.follower());
        reloader.follow(certificate::follower(certificate.clone()));
        reloader.follow(parts::gateway_follower(gateway.clone()));
        let listeners = api::Listeners {
            http: Some(http),
            https: https.zip(certificate),
        };
        let bounds = parts::api_bounds(settings);
        tasks.push(tokio::spawn(api::serve(
            gateway,
            listeners,
            bounds,
            stop.clone().told(),
        )));

        let job_metrics = JobMetrics::default();
        self.metrics
            .register(|registry| job_metrics.register(registry));
        tasks.push(tokio::spawn(jobs::run(
            ledger.clone(),
            settings.jobs.clone(),
            job_metrics,
            stop.clone(),
        )));
        let watched = watch::run(ledger.clone(), self.readiness.clone(), stop);
        tasks.push(tokio::spawn(watched));
        front.serve(admin::router(admin, settings.admin.body_max_bytes as usize));
        Ok(Started {
            addresses,
            reloader,
            work,
            tasks,
        })
    }

    /// Tells that it serves, follows signals, and ends what was started.
    async fn serve(&self, started: Started, signals: &mut Signals) {
        let Started {
            addresses,
            mut reloader,
            work,
            tasks,
        } = started;
        if let Err(error) = addresses.write(&self.data) {
            tracing::warn!(%error, "the command line will not find this process by itself");
        }
        self.readiness.clear("start");
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            api = addresses.api,
            https = addresses.https,
            admin = addresses.admin,
            sip = addresses.sip,
            data = %self.data.display(),
            "serving"
        );
        if self.ready_json
            && let Err(error) = addresses.print()
        {
            tracing::warn!(%error, "nobody reads the ready line");
        }
        let reloads = parts::reload_counter(&self.metrics);
        loop {
            match signals.next().await {
                Told::Stop => break,
                Told::Reload => {
                    let done = tokio::task::block_in_place(|| reloader.reload());
                    parts::tell_reload(&reloads, done);
                }
            }
        }
        tracing::info!("stopping: answering what was accepted");
        self.readiness.block("stop", "stopping");
        work.stop();
        let ended = async {
            for task in tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "a part of the service did not end in order");
                }
            }
        };
        tokio::select! {
            () = ended => {}
            () = stop_told(signals) => tracing::warn!("told again: not waiting any longer"),
        }
    }
}

/// Resolves when a stop is told; reloads in between are for later.
async fn stop_told(signals: &mut Signals) {
    while signals.next().await != Told::Stop {}
}

/// The admin port: open from the beginning, with the admin API behind it once that exists.
struct AdminFront {
    address: String,
    behind: Arc<Mutex<Option<Router>>>,
    stopper: Stopper,
    task: JoinHandle<()>,
}

impl AdminFront {
    async fn open(process: &Process) -> Result<Self, Failure> {
        let settings = &process.loaded.settings.admin;
        let listener = listen::tcp(&process.loaded, "admin.listen", &settings.listen).await?;
        let address = listener.local_addr()?.to_string();
        let behind: Arc<Mutex<Option<Router>>> = Arc::default();
        let shown = behind.clone();
        let router = telemetry::router(process.metrics.clone(), process.readiness.clone())
            .fallback(move |request| parts::behind(shown.lock().clone(), request));
        let (stopper, stop) = stop::channel();
        let task = tokio::spawn(admin::serve(listener, router, stop.told()));
        Ok(Self {
            address,
            behind,
            stopper,
            task,
        })
    }

    fn serve(&self, router: Router) {
        *self.behind.lock() = Some(router);
    }

    async fn close(self) {
        self.stopper.stop();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the admin port did not end in order");
        }
    }
}
