//! `maskline explain`.

use super::client::query;
use super::{Client, Failure, show};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Who calls: a number, or `-` for a caller who withholds it
    caller: String,
    /// The X number that is dialled
    x: String,
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

pub fn run(client: &Client, args: &Args) -> Result<(), Failure> {
    let query = query(&[
        ("caller", Some(&args.caller)),
        ("x", Some(&args.x)),
        ("at", args.at.as_deref()),
        ("trunk", args.trunk.as_deref()),
        ("digits", args.digits.as_deref()),
    ]);
    let answer = client.get(&format!("/v1/explain{query}"))?;
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
