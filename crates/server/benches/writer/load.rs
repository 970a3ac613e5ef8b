//! The mix of commands, the same for our writer and for every store beside it: of ten commands
//! of a caller six bind, one changes the expiry of the newest binding, three unbind.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::{Outcome, now};

#[derive(Clone, Copy)]
pub enum Until {
    Time(Duration),
    Binds(usize),
}

#[derive(Clone, Copy)]
pub struct Load {
    pub callers: usize,
    pub until: Until,
    pub bind_only: bool,
}

impl Load {
    pub fn mixed(callers: usize, until: Until) -> Self {
        Self {
            callers,
            until,
            bind_only: false,
        }
    }
}

/// What callers did in one run. The latency is that of binds, in microseconds.
pub struct Done {
    pub commands_per_s: f64,
    pub binds_per_s: f64,
    pub latency: Histogram<u64>,
}

impl Done {
    /// From what each caller counted since `begun`.
    pub fn of(begun: Instant, counts: Vec<Count>) -> Outcome<Self> {
        let seconds = begun.elapsed().as_secs_f64();
        let mut latency = Histogram::new(3)?;
        let (mut commands, mut binds) = (0, 0);
        for count in counts {
            latency.add(count.latency)?;
            commands += count.commands;
            binds += count.binds;
        }
        Ok(Self {
            commands_per_s: commands as f64 / seconds,
            binds_per_s: binds as f64 / seconds,
            latency,
        })
    }

    pub fn ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// What one caller did.
pub struct Count {
    latency: Histogram<u64>,
    commands: usize,
    binds: usize,
}

/// Sends one command and waits until it is durable. Every command carries a nonce that the store
/// is to remember for a quarter of an hour.
pub trait Caller: Send {
    /// What is needed to change or end a binding.
    type Binding: Send + Sync;

    /// The `n`th command of this caller, a bind; three in four name a city.
    fn bind(&mut self, nonce: u64, n: usize)
    -> impl Future<Output = Outcome<Self::Binding>> + Send;

    fn update(
        &mut self,
        nonce: u64,
        binding: &Self::Binding,
    ) -> impl Future<Output = Outcome<()>> + Send;

    fn unbind(
        &mut self,
        nonce: u64,
        binding: Self::Binding,
    ) -> impl Future<Output = Outcome<()>> + Send;
}

/// Whether the `n`th bind of a caller names a city.
pub fn names_city(n: usize) -> bool {
    !n.is_multiple_of(4)
}

/// One caller: waits for each durable answer before the next command.
pub async fn call<C: Caller>(
    mut caller: C,
    place: usize,
    load: Load,
    begun: Instant,
) -> Outcome<Count> {
    let mut latency = Histogram::new(3)?;
    let mut mine: Vec<C::Binding> = Vec::new();
    let (mut commands, mut binds) = (0, 0);
    let started = now().millis() as u64;
    loop {
        let over = match load.until {
            Until::Time(duration) => begun.elapsed() >= duration,
            Until::Binds(total) => binds >= total / load.callers,
        };
        if over {
            return Ok(Count {
                latency,
                commands,
                binds,
            });
        }
        let nonce = (started << 20) ^ ((place as u64) << 44) ^ commands as u64;
        let nonce = nonce.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let turn = if load.bind_only { 0 } else { commands % 10 };
        match (turn, mine.pop()) {
            (7.., Some(binding)) => caller.unbind(nonce, binding).await?,
            (6, Some(binding)) => {
                caller.update(nonce, &binding).await?;
                mine.push(binding);
            }
            (_, newest) => {
                mine.extend(newest);
                let sent = Instant::now();
                mine.push(caller.bind(nonce, commands).await?);
                latency.record(sent.elapsed().as_micros() as u64)?;
                binds += 1;
            }
        }
        commands += 1;
    }
}
