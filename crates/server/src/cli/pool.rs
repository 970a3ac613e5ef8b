//! `maskline pool`.

use clap::Subcommand;
use maskline_domain::Product;
use maskline_domain::pool::{CityMatch, Pick};

use super::client::part;
use super::{Client, Failure, show};
use crate::admin::document::{Document, OwnKeep, WantedPool, WantedTerms};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List pools
    Ls {
        /// Only those of this account
        #[arg(long)]
        account: Option<String>,
    },
    /// Show one pool, and its numbers by city
    Show {
        /// The PoolKey
        key: String,
    },
    /// Make a pool, or change one; what is not said stays as it is
    Set(Box<Set>),
    /// Open a pool: it serves requests
    Open {
        /// The PoolKey
        key: String,
    },
    /// Close a pool: requests are refused, calls on its bindings go on
    Close {
        /// The PoolKey
        key: String,
    },
}

#[derive(Debug, clap::Args)]
pub struct Set {
    /// The PoolKey: FC and hexadecimal digits
    key: String,
    /// The account that owns it; never changes
    #[arg(long)]
    account: Option<String>,
    /// What it sells, such as axn or axb; never changes
    #[arg(long, value_parser = product)]
    product: Option<Product>,
    /// What happens when no number of the wanted city is free
    #[arg(long, value_enum)]
    city_match: Option<Match>,
    /// Which of the free numbers is taken
    #[arg(long, value_enum)]
    pick: Option<Choice>,
    /// Whether A dialling X reaches the default B
    #[arg(long, value_name = "BOOL")]
    a_call_back: Option<bool>,
    /// Seconds that a number rests after its last binding
    #[arg(long, value_name = "SECONDS")]
    cooling_s: Option<u32>,
    /// How many bindings one number may carry, where the product shares numbers
    #[arg(long, value_name = "COUNT")]
    pairs_max: Option<u32>,
    /// Whether a repeated bind with the same OutOrderId returns the same binding
    #[arg(long, value_name = "BOOL")]
    same_out_order_returns: Option<bool>,
    /// Ring time in seconds, where a binding names none
    #[arg(long, value_name = "SECONDS")]
    ring_timeout_s: Option<u16>,
    /// The name by which programs without PoolKeys call it; an empty one takes it away
    #[arg(long, value_name = "NAME")]
    legacy_type: Option<String>,
    /// The ring tone for A who dials X, where a binding names none; an empty one takes it away
    #[arg(long, value_name = "CODE")]
    ring_tone_a: Option<String>,
    /// The same where there is nobody to connect A to
    #[arg(long, value_name = "CODE")]
    ring_tone_a_alone: Option<String>,
    /// The same for the other side: B, or whoever dials X
    #[arg(long, value_name = "CODE")]
    ring_tone_other: Option<String>,
    /// The carrier whose its numbers are; an empty one takes it away
    #[arg(long, value_name = "NAME")]
    carrier: Option<String>,
    /// How long its ended bindings are kept, as 200d, 3y, forever or none; an empty one leaves it to the settings
    #[arg(long, value_name = "TIME")]
    keep_bindings: Option<OwnKeep>,
    /// The same of its call records
    #[arg(long, value_name = "TIME")]
    keep_calls: Option<OwnKeep>,
    /// The same of its recordings
    #[arg(long, value_name = "TIME")]
    keep_recordings: Option<OwnKeep>,
}

/// City match, as the command line spells it.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Match {
    /// A number of another city is taken
    Loose,
    /// The bind is refused
    Strict,
}

/// Choice of a number, as the command line spells it.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Choice {
    /// Any
    Random,
    /// The one that has been idle longest
    LongestIdle,
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    let wanted = match command {
        Command::Ls { account } => {
            let filters = [("account", account.as_deref())];
            return show::rows(
                client,
                &client.all("/v1/pools", &filters)?,
                &[
                    ("POOL", "key"),
                    ("ACCOUNT", "account"),
                    ("PRODUCT", "product"),
                    ("OPEN", "open"),
                    ("CITY MATCH", "city_match"),
                    ("CARRIER", "carrier"),
                    ("NUMBERS", "numbers"),
                    ("FREE", "free"),
                ],
            );
        }
        Command::Show { key } => return show_one(client, key),
        Command::Set(set) => WantedPool {
            account: set.account.clone(),
            product: set.product,
            city_match: set.city_match.map(|wanted| match wanted {
                Match::Loose => CityMatch::Loose,
                Match::Strict => CityMatch::Strict,
            }),
            pick: set.pick.map(|wanted| match wanted {
                Choice::Random => Pick::Random,
                Choice::LongestIdle => Pick::LongestIdle,
            }),
            a_call_back: set.a_call_back,
            cooling_s: set.cooling_s,
            pairs_max: set.pairs_max,
            same_out_order_returns: set.same_out_order_returns,
            ring_timeout_s: set.ring_timeout_s,
            legacy_type: set.legacy_type.clone(),
            ring_tone_a: set.ring_tone_a.clone(),
            ring_tone_a_alone: set.ring_tone_a_alone.clone(),
            ring_tone_other: set.ring_tone_other.clone(),
            carrier: set.carrier.clone(),
            retention: Some(WantedTerms {
                bindings: set.keep_bindings,
                calls: set.keep_calls,
                recordings: set.keep_recordings,
            })
            .filter(|wanted| *wanted != WantedTerms::default()),
            ..WantedPool::keyed(&set.key)
        },
        Command::Open { key } | Command::Close { key } => {
            // Refused for a pool that is not there: a new one would need an account.
            WantedPool {
                open: Some(matches!(command, Command::Open { .. })),
                ..WantedPool::keyed(key)
            }
        }
    };
    let document = Document {
        pools: vec![wanted],
        ..Document::default()
    };
    show::changes(client, &client.apply(&document, false)?, false)
}

fn show_one(client: &Client, key: &str) -> Result<(), Failure> {
    let mut answer = client.get(&format!("/v1/pools/{}", part(key)))?;
    if client.json {
        return show::json(&answer);
    }
    let cities = answer
        .as_object_mut()
        .and_then(|fields| fields.remove("cities"))
        .unwrap_or_default();
    show::fields(client, &answer)?;
    show::line("")?;
    let columns = [("CITY", "city"), ("NUMBERS", "numbers"), ("FREE", "free")];
    show::rows(client, &cities, &columns)
}

fn product(text: &str) -> Result<Product, String> {
    Product::by_name(text).ok_or_else(|| {
        let names: Vec<_> = Product::ALL.iter().map(|product| product.name()).collect();
        format!("one of {}", names.join(", "))
    })
}
