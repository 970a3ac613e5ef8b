//! Route look-ups a second, and bytes per idle number and live binding.
//!
//! `cargo bench -p maskline-domain` prints, for each size: look-ups a second of processor time on
//! one thread over random callers, the decline against the smallest size, and
//! the heap that the state takes, counted by the allocator; then bindings that a carrier holds, beside as many that need
//! none, in rounds by turns; then pairs of AXB, many on an X. What it takes to read the queries alone is taken off. The allocator is
//! the program's, which asks for huge pages, so that look-ups miss the processor's tables of pages as seldom as there.
//! `MASKLINE_BENCH_SIZES=10000,1000000,10000000` chooses the sizes,
//! `MASKLINE_BENCH_PARTS=routes,held,pairs,decisions` what is measured.

// A counting allocator cannot be written without `unsafe`; it only forwards.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use maskline_domain::binding::{Phase, Provision};
use maskline_domain::ops::Unbind;
use maskline_domain::routing::{Route, RouteQuery, route};
use maskline_domain::*;
use maskline_fixtures::domain::{self as fixtures, ACCOUNT, PAIR_POOL, POOL, binding, idle_number};
use mimalloc::MiMalloc;
use rustix::time::{ClockId, clock_gettime};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the program's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { MiMalloc.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NOW: Timestamp = fixtures::NOON;
const CITIES: usize = 300;
const LOOKUPS: usize = 2_000_000;
/// By turns, of what is compared.
const ROUNDS: usize = 7;

fn main() {
    let chosen = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.into());
    let sizes = chosen("MASKLINE_BENCH_SIZES", "10000,1000000,10000000");
    let sizes: Vec<usize> = sizes
        .split(',')
        .filter_map(|size| size.trim().parse().ok())
        .collect();
    let parts = chosen("MASKLINE_BENCH_PARTS", "routes,held,pairs,decisions");
    if parts.contains("routes") {
        println!(
            "{:>10} {:>14} {:>10} {:>16} {:>18}",
            "bindings", "look-ups/s", "decline", "bytes/number", "bytes/binding"
        );
        let mut first = None;
        for &size in &sizes {
            routes(size, &mut first);
        }
    }
    if parts.contains("held") {
        println!("held by a carrier, beside as many that need none:");
        println!(
            "{:>10} {:>14} {:>14} {:>10} {:>16} {:>16}",
            "bindings", "look-ups/s", "need none", "ratio", "bytes/binding", "need none"
        );
        for &size in &sizes {
            held(size);
        }
    }
    if parts.contains("pairs") {
        let mut first = None;
        for &size in &sizes {
            pairs(size, &mut first);
        }
    }
    if parts.contains("decisions") {
        for share_bound in [0.5, 0.99] {
            let rate = decisions_per_s(100_000, share_bound);
            let percent = share_bound * 100.0;
            println!("decided and applied, {percent:.0} % of 100,000 bound: {rate:.0} binds/s");
        }
    }
    println!(
        "goals: 1,000,000 look-ups/s, at most fourfold decline, 16 bytes/number, 160 bytes/binding"
    );
}

/// Tells of bindings with an X each. `first` is the rate at the first size.
fn routes(size: usize, first: &mut Option<f64>) {
    let empty = LIVE.load(Ordering::Relaxed);
    let stocked = stocked(size);
    let full = LIVE.load(Ordering::Relaxed);
    let (state, bytes) = bound(stocked, size, None);
    let rate = lookups_per_s(&state, size, query);
    println!(
        "{size:>10} {rate:>14.0} {:>10.2} {:>16.1} {bytes:>18.1}",
        *first.get_or_insert(rate) / rate,
        (full - empty) as f64 / size as f64,
    );
}

/// Tells of the same bindings where a carrier holds each, and of those where none must, which are looked up by turns. The
/// ratio is that of the look-ups of one round.
fn held(size: usize) {
    let (plain, bytes_plain) = bound(stocked(size), size, None);
    let (held, bytes) = bound(stocked(size), size, Some(&CarrierName::new("unicom")));
    let rounds: Vec<[f64; 2]> = (0..ROUNDS)
        .map(|_| [&held, &plain].map(|state| lookups_per_s(state, size, query)))
        .collect();
    let median = |of: &dyn Fn(&[f64; 2]) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    println!(
        "{size:>10} {:>14.0} {:>14.0} {:>10.2} {bytes:>16.1} {bytes_plain:>16.1}",
        median(&|[held, _]| *held),
        median(&|[_, plain]| *plain),
        median(&|[held, plain]| held / plain),
    );
}

/// The state with so many bindings, and how many bytes each took.
fn bound(mut state: State, size: usize, carrier: Option<&CarrierName>) -> (State, f64) {
    let before = LIVE.load(Ordering::Relaxed);
    bind_all(&mut state, size, carrier);
    let bytes = LIVE.load(Ordering::Relaxed) - before;
    (state, bytes as f64 / size as f64)
}

/// One look-up in four is made by A.
fn query(n: usize, target: usize) -> RouteQuery {
    RouteQuery {
        caller: Some(if n.is_multiple_of(4) { a(target) } else { a(n) }),
        x: x(target),
    }
}

fn x(n: usize) -> PhoneNumber {
    PhoneNumber::parse(&format!("17{n:09}")).expect("digits")
}

fn a(n: usize) -> PhoneNumber {
    PhoneNumber::parse(&format!("15{:09}", n * 7 % 999_999_937)).expect("digits")
}

fn stocked(size: usize) -> State {
    let mut state = State::default();
    state.apply(&Event::AccountSet(fixtures::account(ACCOUNT)));
    state.apply(&Event::PoolSet(fixtures::pool(POOL, Product::Axn)));
    for n in 0..size {
        let city = format!("city-{}", n % CITIES);
        state.apply(&Event::NumberSet(idle_number(x(n), POOL, &city)));
    }
    state
}

fn bind_all(state: &mut State, size: usize, carrier: Option<&CarrierName>) {
    for n in 0..size {
        let fence = 1_000_000_000_000_000 + n as u64;
        let held = |carrier: &CarrierName| Provision {
            carrier: carrier.clone(),
            phase: Phase::Confirmed,
            revision: 1,
            fence,
            held: Some(fence),
            proposed: None,
        };
        state.apply(&Event::Bound(Box::new(Binding {
            subs_id: SubsId(fence),
            provision: carrier.map(|carrier| Box::new(held(carrier))),
            created_at: NOW,
            expires_at: NOW.plus_secs(3600 + (n % 86_400) as i64),
            ..binding(x(n), a(n))
        })));
    }
}

/// Tells the same of pairs whose B dials X.
fn pairs(size: usize, first: &mut Option<f64>) {
    const PAIRS_ON_X: usize = 100;
    let b = |n: usize| PhoneNumber::parse(&format!("18{n:09}")).expect("digits");
    let mut state = State::default();
    state.apply(&Event::AccountSet(fixtures::account(ACCOUNT)));
    state.apply(&Event::PoolSet(fixtures::pool(PAIR_POOL, Product::Axb)));
    for n in 0..size.div_ceil(PAIRS_ON_X) {
        let city = format!("city-{}", n % CITIES);
        state.apply(&Event::NumberSet(idle_number(x(n), PAIR_POOL, &city)));
    }
    let stocked = LIVE.load(Ordering::Relaxed);
    for n in 0..size {
        state.apply(&Event::Bound(Box::new(Binding {
            subs_id: SubsId(1_000_000_000_000_000 + n as u64),
            product: Product::Axb,
            b: Some(b(n)),
            created_at: NOW,
            expires_at: NOW.plus_secs(3600 + (n % 86_400) as i64),
            ..binding(x(n / PAIRS_ON_X), a(n))
        })));
    }
    let bound = LIVE.load(Ordering::Relaxed);
    let rate = lookups_per_s(&state, size, |_, target| RouteQuery {
        caller: Some(b(target)),
        x: x(target / PAIRS_ON_X),
    });
    println!(
        "{size:>10} {rate:>14.0} look-ups/s of pairs, decline {:.2}, {:.1} bytes each",
        *first.get_or_insert(rate) / rate,
        (bound - stocked) as f64 / size as f64
    );
}

/// `query` is given its place, and the binding that it is after.
fn lookups_per_s(state: &State, size: usize, query: impl Fn(usize, usize) -> RouteQuery) -> f64 {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let queries: Vec<RouteQuery> = (0..LOOKUPS.min(4 * size).max(100_000))
        .map(|n| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let target = (random % size as u64) as usize;
            query(n, target)
        })
        .collect();
    let per_query = |look_up: &dyn Fn(&RouteQuery) -> bool| {
        let least = (0..5).map(|_| {
            let begun = processor_time();
            let found = queries.iter().filter(|query| look_up(query)).count();
            black_box(found);
            processor_time() - begun
        });
        least.min().unwrap_or_default().as_secs_f64() / queries.len() as f64
    };
    let looked_up = per_query(&|query| {
        let route = route(state, black_box(query), NOW);
        matches!(black_box(route), Route::Connect(_))
    });
    let read = per_query(&|query| black_box(query).caller.is_some());
    1.0 / (looked_up - read)
}

/// What this thread has had of the processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).expect("nanoseconds"),
    )
}

/// Binds without a wanted X, two in three with a wanted city, each followed by
/// its unbind, so that the pool stays as full as it is.
fn decisions_per_s(size: usize, share_bound: f64) -> f64 {
    const BINDS: usize = 100_000;
    let mut state = stocked(size);
    bind_all(&mut state, (size as f64 * share_bound) as usize, None);
    let by = Actor::Operator {
        name: "bench".into(),
        remark: None,
    };
    let pool = PoolRef::Key(PoolKey::new("FC1"));
    let mut binding_s = 0.0;
    for n in 0..BINDS {
        let party = Party::of(a(size + n)).expect("a party");
        let expires_at = NOW.plus_secs(7200);
        let command = Command::Bind(Box::new(BindRequest {
            city: (n % 3 > 0).then(|| City::new(&format!("city-{}", n % CITIES))),
            ..BindRequest::new(pool.clone(), Product::Axn, party, expires_at)
        }));
        let envelope = Envelope {
            by: by.clone(),
            id: None,
            command,
        };
        let begun = Instant::now();
        let decision = decide(&state, &envelope, NOW, n as u64);
        for event in &decision.events {
            black_box(state.apply_undoable(event));
        }
        binding_s += begun.elapsed().as_secs_f64();
        let Ok(Outcome::Bound(bound)) = decision.answer else {
            panic!("numbers are left in loose mode");
        };
        let command = Command::Unbind(Unbind {
            pool: pool.clone(),
            subs_id: bound.subs_id,
            x: bound.x,
        });
        let decision = decide(
            &state,
            &Envelope {
                by: by.clone(),
                id: None,
                command,
            },
            NOW,
            0,
        );
        for event in &decision.events {
            state.apply(event);
        }
    }
    BINDS as f64 / binding_s
}
