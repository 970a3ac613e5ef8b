//! Ten thousand requests that are not quite right, by class, each with the code that its class
//! promises. None crashes or hangs the server.
//!
//! A mutation is drawn from a seed; a failure prints class, mutation and seed.

mod bodies;
mod encodings;
mod headers;
mod lengths;
mod parameters;
mod signatures;
mod values;

use maskline_domain::chance::mix;

use crate::api::client::{Acs3, Answer, Connection, Rpc};

use crate::api::world::{AXN, World};

const PER_CLASS: u64 = 1_700;

/// Chance to choose mutations by.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = mix(self.0);
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What must come back.
enum Expected {
    /// This status and `Code`.
    Code(u16, String),
    /// A bare status, from below the gateway.
    Status(u16),
}

fn code(status: u16, code: &str) -> Expected {
    Expected::Code(status, code.to_owned())
}

/// A mutated request: its bytes, whether the connection ends after them, and what must come back.
struct Mutant {
    what: String,
    bytes: Vec<u8>,
    closes: bool,
    expected: Expected,
}

impl Mutant {
    fn new(what: impl Into<String>, bytes: Vec<u8>, expected: Expected) -> Self {
        Self {
            what: what.into(),
            bytes,
            closes: false,
            expected,
        }
    }

    fn closing(mut self) -> Self {
        self.closes = true;
        self
    }
}

/// Each request asks what changes nothing, so that ten thousand of them fit in any pool.
fn read(world: &World) -> Rpc {
    world.rpc(
        "QuerySubsId",
        &[("PoolKey", AXN), ("PhoneNoX", "17000000000")],
    )
}

fn read_acs3(world: &World) -> Acs3 {
    world.acs3(
        "QuerySubsId",
        &[("PoolKey", AXN), ("PhoneNoX", "17000000000")],
    )
}

async fn run(class: &str, mutate: impl Fn(&World, &mut Dice) -> Mutant) {
    let world = World::start().await;
    let mut connection = world.connection();
    for seed in 0..PER_CLASS {
        let mutant = mutate(&world, &mut Dice(seed));
        let answer = if mutant.closes {
            connection.exchange_and_close(&mutant.bytes).await
        } else {
            connection.exchange(&mutant.bytes).await
        };
        check(
            &format!("{class}, {}, seed {seed}", mutant.what),
            &mutant.expected,
            answer.as_ref(),
        );
    }
    alive(&world, connection).await;
    world.stop().await;
}

fn check(what: &str, expected: &Expected, answer: Option<&Answer>) {
    match (expected, answer) {
        (Expected::Code(status, code), Some(answer)) => {
            assert_eq!(
                (answer.status, &answer.code()),
                (*status, code),
                "{what}: {answer:?}"
            );
            assert!(
                answer.header("content-type").is_some(),
                "{what}: {answer:?}"
            );
        }
        (Expected::Status(status), Some(answer)) => {
            assert_eq!(answer.status, *status, "{what}: {answer:?}");
        }
        (_, None) => panic!("{what}: no answer"),
    }
}

async fn alive(world: &World, mut connection: Connection) {
    let mut request = read(world);
    request.sign(&world.signer.secret);
    let answer = connection
        .exchange(&request.bytes())
        .await
        .expect("an answer");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (200, "OK"),
        "{answer:?}"
    );
}

/// One character becomes another one of the same alphabet.
fn replace_one(text: &str, alphabet: &str, dice: &mut Dice) -> String {
    let at = dice.below(text.len());
    let old = text.as_bytes()[at] as char;
    let others: Vec<char> = alphabet.chars().filter(|c| *c != old).collect();
    let new = *dice.pick(&others);
    format!("{}{new}{}", &text[..at], &text[at + 1..])
}

const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const HEX: &str = "0123456789abcdef";

fn sign(mut request: Rpc, secret: &str) -> Vec<u8> {
    request.sign(secret);
    request.bytes()
}
