//! `maskline explain`.

use clap::Subcommand;

use super::client::query;
use super::{Client, Failure, show};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    other: Option<Other>,
    /// Who calls: a number, or `-` for a caller who withholds it
    #[arg(required = true)]
    caller: Option<String>,
    /// The X number that is dialled
    #[arg(required = true)]
    x: Option<String>,
    /// The moment, as 'yyyy-MM-dd HH:mm:ss' in China time [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The trunk by which the call comes [default: the first enabled one]
    #[arg(long, value_name = "NAME")]
    trunk: Option<String>,
    /// Digits that the caller dials after being asked for an extension
    #[arg(long, value_name = "DIGITS")]
    digits: Option<String>,
}

/// What can be explained besides a call.
#[derive(Debug, Subcommand)]
enum Other {
    /// Tell what a bind would come to: the X it could get, or the rule that refuses it; nothing is bound
    Bind(Bind),
}

#[derive(Debug, clap::Args)]
struct Bind {
    /// The PoolKey
    #[arg(long, value_name = "KEY")]
    pool: String,
    /// The number A
    #[arg(long, value_name = "NUMBER")]
    a: String,
    /// The number B
    #[arg(long, value_name = "NUMBER")]
    b: Option<String>,
    /// A wanted X
    #[arg(long, value_name = "NUMBER")]
    x: Option<String>,
    /// A wanted city
    #[arg(long)]
    city: Option<String>,
    /// The end of the binding, as 'yyyy-MM-dd HH:mm:ss' in China time [default: in a day]
    #[arg(long, value_name = "TIME")]
    expiration: Option<String>,
}

pub fn run(client: &Client, args: &Args) -> Result<(), Failure> {
    let answer = match &args.other {
        None => {
            let query = query(&[
                ("caller", args.caller.as_deref()),
                ("x", args.x.as_deref()),
                ("at", args.at.as_deref()),
                ("trunk", args.trunk.as_deref()),
                ("digits", args.digits.as_deref()),
            ]);
            client.get(&format!("/v1/explain{query}"))?
        }
        Some(Other::Bind(bind)) => {
            let query = query(&[
                ("pool", Some(&bind.pool)),
                ("a", Some(&bind.a)),
                ("b", bind.b.as_deref()),
                ("x", bind.x.as_deref()),
                ("city", bind.city.as_deref()),
                ("expiration", bind.expiration.as_deref()),
            ]);
            client.get(&format!("/v1/explain/bind{query}"))?
        }
    };
    if client.json {
        return show::json(&answer);
    }
    let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    show::line(&text("question"))?;
    let steps = answer["steps"].as_array().cloned().unwrap_or_default();
    for (count, step) in steps.iter().enumerate() {
        show::line(&format!(
            "  {}. {}",
            count + 1,
            step.as_str().unwrap_or_default()
        ))?;
    }
    show::line(&text("result"))
}
