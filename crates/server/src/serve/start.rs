//! Starting everything above the ledger.

use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::{Addresses, AdminFront, Process, certificates, listen, parts, supervisor, watch};
use crate::admin::{self, Admin, AdminToken, BodyTimeout, FaultForecast, TokenRefusals};
use crate::api::fault_numbers::Fault;
use crate::api::{self, ApiMetrics, Gateway};
use crate::calls::{self, CallsHandle, Serving};
use crate::carriers::Carriers;
use crate::clocks;
use crate::config::Reloader;
use crate::demo;
use crate::failure::Failure;
use crate::http_server::Listeners;
use crate::http_server::connections::{self, Connections};
use crate::jobs::{self, JobMetrics};
use crate::ledger::Ledger;
use crate::seal::Sealer;

/// What runs, and how to end it.
pub struct Started {
    /// Where it is reached.
    pub addresses: Addresses,
    /// Reads the settings again.
    pub reloader: Reloader,
    /// Ends what takes new work, also when it is dropped.
    pub work: DropGuard,
    /// The parts, each by name; none ends before it is told to.
    pub tasks: JoinSet<&'static str>,
    /// Told of bindings until nobody waits for them any more.
    pub carriers: Carriers,
    /// Tells the supervisor that it is alive, for as long as it is polled.
    pub alive: Pin<Box<dyn Future<Output = ()> + Send>>,
}

fn forecast(fault: Fault) -> FaultForecast {
    FaultForecast {
        code: fault.code(),
        binds: fault.binds(),
        words: fault.words(),
    }
}

impl Process {
    /// Starts everything above the ledger.
    pub(super) async fn start(
        &self,
        ledger: &Ledger,
        sealer: Arc<Sealer>,
        front: &AdminFront,
    ) -> Result<Started, Failure> {
        // Those of a process that was killed.
        Addresses::forget(&self.data);
        let settings = &self.loaded.settings;
        let budget = self.budget;
        let calls_handle = CallsHandle::default();
        self.metrics
            .register(|registry| calls_handle.register(registry));
        let carriers = Carriers::start(ledger.clone(), sealer.clone())
            .await
            .map_err(|error| failed("the carriers cannot be read", &error))?;
        self.metrics
            .register(|registry| carriers.register(registry));
        admin::first_token::restore_if_asked(ledger, &self.data)
            .await
            .map_err(|error| failed("the first token cannot be brought back", &error))?;
        let gateway = self.gateway(ledger, sealer.clone(), carriers.clone());
        let admin = self.admin(
            ledger,
            sealer.clone(),
            calls_handle.clone(),
            carriers.clone(),
            gateway.clone(),
        )?;
        let admin = Arc::new(admin);
        if settings.demo {
            demo::prepare(&admin, &self.data)
                .await
                .map_err(|error| failed("the demo cannot be made", &error))?;
        }
        let stop = CancellationToken::new();
        // Should the start fail, what has begun ends.
        let work = stop.clone().drop_guard();
        let mut tasks = JoinSet::new();
        let boot = Uuid::new_v4().to_string();
        let config = calls::Config {
            sealer: Some(sealer.clone()),
            calls_handle: calls_handle.clone(),
            ..parts::call_config(&self.loaded, boot, budget.sip_streams).await?
        };
        if settings.demo {
            // Before the first call: then its trunks are known.
            let peer = parts::reachable(config.listen);
            let phones = calls::demo_phones::start_somewhere(peer, stop.clone()).await?;
            demo::set_up_phones(&admin, phones.address)
                .await
                .map_err(|error| failed("the phones of the demo", &error))?;
            tasks.spawn(named("the sandbox phones", phones.task));
        }
        let tls = config.tls.clone();
        let calls = self.calls(ledger, config, &stop).await?;
        let sip = calls.address;
        tasks.spawn(named("calls", calls.task));

        let listeners = self.listeners(budget.api).await?;
        let connections = watch::Watched {
            api: listeners.connections.clone(),
            admin: front.connections.clone(),
        };
        let addresses = Addresses {
            api: listeners.http.as_ref().map(local).transpose()?,
            https: listeners
                .https
                .as_ref()
                .map(|(listener, _)| local(listener))
                .transpose()?,
            admin: front.address.clone(),
            sip: Some(sip.to_string()),
        };
        let mut reloader = Reloader::new(self.inputs.clone(), &self.loaded);
        reloader.follow(self.log.follower());
        let https = listeners.https.as_ref().map(|(_, tls)| tls.clone());
        reloader.follow(certificates::https_follower(https));
        reloader.follow(certificates::sip_follower(tls));
        reloader.follow(parts::gateway_follower(gateway.clone()));

        let bounds = parts::api_bounds(settings);
        let told = stop.clone().cancelled_owned();
        tasks.spawn(async move {
            api::serve(gateway, listeners, bounds, told).await;
            "the customers' interface"
        });
        tasks.spawn(self.jobs(ledger, &stop));
        let alive = supervisor::keep_alive(ledger.clone(), calls_handle.clone(), stop.clone());
        let readiness = self.readiness.clone();
        let watched = watch::run(ledger.clone(), calls_handle, connections, readiness, stop);
        tasks.spawn(async move {
            watched.await;
            "the watch over ledger and calls"
        });
        let body_timeout = Duration::from_secs(settings.admin.body_timeout_s.into());
        front.serve(admin::router(
            admin,
            settings.admin.body_max_bytes as usize,
            BodyTimeout(body_timeout),
        ));
        Ok(Started {
            addresses,
            reloader,
            work,
            tasks,
            carriers,
            alive: Box::pin(alive),
        })
    }

    fn admin(
        &self,
        ledger: &Ledger,
        sealer: Arc<Sealer>,
        calls: CallsHandle,
        carriers: Carriers,
        gateway: Arc<Gateway>,
    ) -> Result<Admin, Failure> {
        let file = self.data.join(admin::first_token::FILE);
        let token = AdminToken::read_or_make(&file)
            .map_err(|error| Failure::Surroundings(format!("{}: {error}", file.display())))?;
        Ok(Admin {
            ledger: ledger.clone(),
            sealer,
            token,
            permissions: api::permissions::permissions(),
            code_of: |refusal| api::refusals::failure_of(refusal).label(),
            fault_of: Box::new(move |a| gateway.fault_of(a).map(forecast)),
            readiness: self.readiness.clone(),
            started: Instant::now(),
            carriers,
            calls,
            notice: parts::notice(&self.loaded.settings),
            data: self.data.clone(),
            refused: TokenRefusals::default(),
            past: tokio::sync::Mutex::default(),
        })
    }

    async fn calls(
        &self,
        ledger: &Ledger,
        config: calls::Config,
        stop: &CancellationToken,
    ) -> Result<Serving, Failure> {
        let listen = config.listen;
        calls::serve(config, ledger.clone(), ledger.call_records(), stop.clone())
            .await
            .map_err(|error| {
                let reason = format!("cannot serve calls on {listen}: {error}");
                self.loaded.missing("sip.listen", reason).into()
            })
    }

    /// The customers' ports, with at most `connections_max` connections, whatever the settings say.
    async fn listeners(&self, connections_max: usize) -> Result<Listeners, Failure> {
        let settings = &self.loaded.settings;
        let tls = certificates::https(&self.loaded, &self.data)?;
        let http = match settings.api.listen.get() {
            Some(address) => Some(listen::http(&self.loaded, "api.listen", address).await?),
            None => None,
        };
        let https = match (tls, settings.https()) {
            (Some(tls), Some(address)) => {
                let listener = listen::http(&self.loaded, "api.https", address).await?;
                Some((listener, tls))
            }
            _ => None,
        };
        let bounds = parts::api_connections(settings);
        let connections = Connections::new(connections::Bounds {
            total_max: bounds.total_max.min(connections_max),
            ..bounds
        });
        self.metrics
            .register(|registry| connections.register("api", registry));
        Ok(Listeners {
            http,
            https,
            connections,
            proxies: Arc::new(parts::trusted_proxies(settings)),
        })
    }

    fn gateway(&self, ledger: &Ledger, sealer: Arc<Sealer>, carriers: Carriers) -> Arc<Gateway> {
        let metrics = ApiMetrics::default();
        self.metrics.register(|registry| metrics.register(registry));
        let gateway = Gateway::new(
            ledger.clone(),
            sealer,
            Arc::new(|| clocks::read().wall),
            parts::gateway_settings(&self.loaded.settings),
            metrics,
        );
        Arc::new(gateway.with_carriers(carriers))
    }

    fn jobs(
        &self,
        ledger: &Ledger,
        stop: &CancellationToken,
    ) -> impl Future<Output = &'static str> + use<> {
        let metrics = JobMetrics::default();
        self.metrics.register(|registry| metrics.register(registry));
        let settings = self.loaded.settings.jobs.clone();
        let (ledger, stop) = (ledger.clone(), stop.clone());
        async move {
            let retention = jobs::retention::run(ledger.clone(), settings.clone(), stop.clone());
            tokio::join!(
                jobs::run(ledger, settings, metrics, stop.clone()),
                retention
            );
            // Jobs that are switched off end at once.
            stop.cancelled().await;
            "the jobs"
        }
    }
}

/// A part that runs already. Should it panic, that is logged by its own message.
async fn named(name: &'static str, task: JoinHandle<()>) -> &'static str {
    let _ = task.await;
    name
}

fn local(listener: &TcpListener) -> std::io::Result<String> {
    listener.local_addr().map(|address| address.to_string())
}

fn failed(what: &str, error: &dyn Display) -> Failure {
    Failure::Failed(format!("{what}: {error}"))
}
