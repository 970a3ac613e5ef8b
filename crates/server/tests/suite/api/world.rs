//! A server in this process with two accounts, a few pools and numbers, and a clock that tests turn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use maskline_domain::inventory::NumberClass;
use maskline_domain::ops::{AddNumbers, CreateKey, SetAccount, SetPool, SetUser};
use maskline_domain::{
    AccessKey, AccessKeyId, Account, AccountId, Number, NumberCarrier, Pool, PoolKey, Product,
    Timestamp, TypedCommand, User, UserName,
};
use maskline_server::api::{ApiMetrics, Clock, Gateway, Settings, serve};
use maskline_server::http_server::Listeners;
use maskline_server::http_server::connections::{self, Connections};
use maskline_server::ledger::Ledger;
use maskline_server::seal::{Sealer, Secret};
use maskline_server::serve::{api_bounds, gateway_settings};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::api::client::{Acs3, Answer, Connection, Rpc, Signer};
use crate::api::store::Store;
use crate::support::sealer;
use maskline_fixtures::domain::{self as fixtures, idle_number, operator};

/// The pool of the starting document.
pub const AXN: &str = "FC12345";
pub const AXB: &str = "FC12346";
/// An AXN pool that takes numbers of the wanted city only.
pub const STRICT: &str = "FC12347";
/// A pool of another account.
pub const FOREIGN: &str = "FC99999";

pub const A: &str = "15000000000";
pub const B: &str = "15800000000";
pub const EXPIRATION: &str = "2039-09-05 12:00:00";

/// How requests are judged where nobody sets anything.
pub fn settings() -> Settings {
    gateway_settings(&maskline_server::config::Settings::default())
}

/// A running server.
pub struct World {
    pub http: SocketAddr,
    pub gateway: Arc<Gateway>,
    pub ledger: Ledger,
    pub signer: Signer,
    sealer: Arc<Sealer>,
    skew_ms: Arc<AtomicI64>,
    nonces: AtomicU64,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<()>>,
    store: Store,
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(settings()).await
    }

    pub async fn start_with(settings: Settings) -> Self {
        let store = Store::open().await;
        let sealer = Arc::new(sealer());
        let skew_ms = Arc::new(AtomicI64::new(0));
        let gateway = Arc::new(make_gateway(&store, &sealer, &skew_ms, settings));
        let (listeners, http) = listeners().await;
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(serve(
            Arc::clone(&gateway),
            listeners,
            api_bounds(&maskline_server::config::Settings::default()),
            async {
                let _ = stopped.await;
            },
        ));
        let world = Self {
            http,
            gateway,
            ledger: store.ledger(),
            signer: Signer {
                id: "testid".into(),
                secret: "testsecret".into(),
            },
            sealer,
            skew_ms,
            nonces: AtomicU64::new(0),
            stop: Some(stop),
            served: Some(served),
            store,
        };
        world.set_up().await;
        world
    }

    async fn set_up(&self) {
        self.order(SetAccount(account("acme"))).await;
        self.order(SetAccount(account("rival"))).await;
        self.add_key("acme", &self.signer.id, &self.signer.secret)
            .await;
        for (key, owner, product) in [
            (AXN, "acme", Product::Axn),
            (AXB, "acme", Product::Axb),
            (STRICT, "acme", Product::Axn),
            (FOREIGN, "rival", Product::Axn),
        ] {
            let mut pool = Pool::new(PoolKey::new(key), AccountId::new(owner), product);
            if key == STRICT {
                pool.city_match = maskline_domain::pool::CityMatch::Strict;
            }
            if key == AXN {
                pool.legacy_type = Some("AXN_170".into());
            }
            self.order(SetPool(pool)).await;
        }
        let mut numbers = Vec::new();
        for last in 0..20 {
            let city = if last % 2 == 0 { "北京" } else { "杭州" };
            numbers.push(number(&format!("170000000{last:02}"), Some(AXN), city));
            numbers.push(number(&format!("170000001{last:02}"), Some(AXB), city));
        }
        numbers.push(number("17000000200", Some(STRICT), "北京"));
        numbers.push(number("17000000300", Some(FOREIGN), "北京"));
        for (last, city) in ["武汉", "杭州", "杭州"].into_iter().enumerate() {
            numbers.push(number(&format!("1710000000{last}"), None, city));
        }
        self.order(AddNumbers(numbers)).await;
    }

    /// Carries out an operator's command.
    pub async fn order(&self, command: impl TypedCommand) {
        let done = self.ledger.submit(operator(command)).await;
        done.expect("a good command");
    }

    pub async fn add_key(&self, account: &str, id: &str, secret: &str) {
        self.create_key(
            account,
            None,
            &Signer {
                id: id.into(),
                secret: secret.into(),
            },
        )
        .await;
    }

    pub async fn add_user_key(&self, account: &str, user: &str, signer: &Signer) {
        self.create_key(account, Some(UserName::new(user)), signer)
            .await;
    }

    async fn create_key(&self, account: &str, user: Option<UserName>, signer: &Signer) {
        let id = AccessKeyId::new(&signer.id);
        let secret = Secret::new(signer.secret.as_bytes().to_vec());
        let key = AccessKey {
            sealed_secret: self.sealer.seal(&id, &secret).unwrap().into(),
            id,
            account: AccountId::new(account),
            user,
            active: true,
            created_at: wall(),
        };
        self.order(CreateKey(key)).await;
    }

    /// The address of another gateway over the same ledger, which knows no nonces.
    pub async fn second_gateway(&self) -> SocketAddr {
        let gateway = make_gateway(&self.store, &self.sealer, &self.skew_ms, settings());
        let (listeners, http) = listeners().await;
        tokio::spawn(serve(
            Arc::new(gateway),
            listeners,
            api_bounds(&maskline_server::config::Settings::default()),
            std::future::pending(),
        ));
        http
    }

    /// The time that a request made now carries.
    pub fn now(&self) -> String {
        wire_time(wall())
    }

    /// Turns the gateway's clock away from the true time.
    pub fn skew_clock(&self, millis: i64) {
        self.skew_ms.store(millis, Ordering::Relaxed);
    }

    pub fn nonce(&self) -> String {
        format!("nonce-{}", self.nonces.fetch_add(1, Ordering::Relaxed))
    }

    pub fn connection(&self) -> Connection {
        Connection::new(self.http)
    }

    /// An unsigned request of the older scheme.
    pub fn rpc(&self, action: &str, business: &[(&str, &str)]) -> Rpc {
        let pairs: Vec<_> = [("Action", action)]
            .iter()
            .chain(business)
            .copied()
            .collect();
        Rpc::new(&self.signer, &self.now(), &self.nonce(), &pairs)
    }

    /// An unsigned request of the newer scheme.
    pub fn acs3(&self, action: &str, business: &[(&str, &str)]) -> Acs3 {
        Acs3::new(&self.signer, &self.now(), &self.nonce(), action, business)
    }

    /// Asks with the older scheme.
    pub async fn ask(&self, action: &str, business: &[(&str, &str)]) -> Answer {
        self.send(self.rpc(action, business)).await
    }

    /// Signs and sends.
    pub async fn send(&self, mut request: Rpc) -> Answer {
        request.sign(&self.signer.secret);
        self.connection()
            .exchange(&request.bytes())
            .await
            .expect("an answer")
    }

    /// Makes an AXN binding and gives its X and SubsId.
    pub async fn bind(&self, more: &[(&str, &str)]) -> (String, String) {
        let mut pairs = vec![
            ("PoolKey", AXN),
            ("PhoneNoA", A),
            ("Expiration", EXPIRATION),
        ];
        pairs.extend_from_slice(more);
        let answer = self.ask("BindAxn", &pairs).await;
        assert_eq!(answer.code(), "OK", "{answer:?}");
        let dto = &answer.json()["SecretBindDTO"];
        let member = |name: &str| dto[name].as_str().expect("a string").to_owned();
        (member("SecretNo"), member("SubsId"))
    }

    /// Makes an ended binding and, once the history has it, changes the history as `sql` says.
    pub async fn bend_history(&self, sql: &'static str) -> (String, String) {
        let (x, id) = self.bind(&[("PhoneNoB", B)]).await;
        let pairs = [("PoolKey", AXN), ("SubsId", &*id), ("SecretNo", &*x)];
        let answer = self.ask("UnbindSubscription", &pairs).await;
        assert_eq!(answer.code(), "OK");
        let subs_id = maskline_domain::SubsId::parse(&id).unwrap();
        self.ledger.past(subs_id).await.unwrap().expect("ended");
        self.store.bend(sql).await;
        (x, id)
    }

    /// Makes a user who may do nothing yet, and a key of theirs.
    pub async fn add_user_and_key(&self, account: &str, user: &str, signer: &Signer) {
        self.order(SetUser(User {
            account: AccountId::new(account),
            name: UserName::new(user),
            statements: Vec::new(),
        }))
        .await;
        self.add_user_key(account, user, signer).await;
    }

    /// Stops the server and waits until it has stopped.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(served) = self.served.take() {
            served.await.unwrap();
        }
        self.store.close().await;
    }
}

/// A free port, and bounds that no test meets.
async fn listeners() -> (Listeners, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = listener.local_addr().unwrap();
    let listeners = Listeners {
        http: Some(listener),
        https: None,
        connections: Connections::new(connections::Bounds {
            total_max: 1_000,
            per_source_max: 1_000,
        }),
        proxies: Arc::default(),
    };
    (listeners, http)
}

fn make_gateway(
    store: &Store,
    sealer: &Arc<Sealer>,
    skew_ms: &Arc<AtomicI64>,
    settings: Settings,
) -> Gateway {
    let skew_ms = Arc::clone(skew_ms);
    let clock: Clock = Arc::new(move || wall().plus_millis(skew_ms.load(Ordering::Relaxed)));
    let sealer = Arc::clone(sealer);
    let metrics = ApiMetrics::default();
    Gateway::new(store.ledger(), sealer, clock, settings, metrics)
}

pub fn wall() -> Timestamp {
    let now = OffsetDateTime::now_utc();
    Timestamp((now.unix_timestamp_nanos() / 1_000_000) as i64)
}

pub fn wire_time(moment: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp(moment.millis() / 1000)
        .unwrap()
        .format(format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second]Z"
        ))
        .unwrap()
}

/// An account that may ask as often as it likes.
pub fn account(name: &str) -> Account {
    Account {
        requests_per_s_max: Some(0),
        ..fixtures::account(name)
    }
}

pub fn number(digits: &str, pool: Option<&str>, city: &str) -> Number {
    let idle = idle_number(fixtures::number(digits), AXN, city);
    Number {
        class: NumberClass {
            pool: pool.map(PoolKey::new),
            province: "浙江".into(),
            carrier: NumberCarrier::Unicom,
            purchased_at: Timestamp::parse_china("2021-12-03 15:19:27").unwrap(),
            ..idle.class
        },
        ..idle
    }
}
