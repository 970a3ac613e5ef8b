//! Calls for people: `maskline call ls`, `show` and `live`.

use serde_json::Value;

use super::client::part;
use super::{Client, Failure, ladder, show};

/// Which call records to list.
#[derive(Debug, clap::Args)]
pub struct Ls {
    /// Only those on this X number
    #[arg(long)]
    x: Option<String>,
    /// Only those of this pool
    #[arg(long, value_name = "KEY")]
    pool: Option<String>,
    /// Only those of this person: the caller, the callee, A or B
    #[arg(long, value_name = "NUMBER")]
    party: Option<String>,
    /// Only those of this caller
    #[arg(long, value_name = "NUMBER")]
    caller: Option<String>,
    /// Only those that came at this moment or later, as 'yyyy-MM-dd HH:mm:ss' in China time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only those that came before this moment
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only those that ended so, such as busy or no_binding
    #[arg(long, value_name = "WORD")]
    situation: Option<String>,
    /// Only those that have not ended
    #[arg(long)]
    open: bool,
    /// No more than so many
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Only those that came before this place: the `next` of a list before
    #[arg(long, value_name = "KEY")]
    after: Option<String>,
}

/// Which call to show.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// Its id
    call_id: String,
    /// What was said to either side, step by step
    #[arg(long)]
    ladder: bool,
}

pub fn ls(client: &Client, args: &Ls) -> Result<(), Failure> {
    let filters = [
        ("x", args.x.as_deref()),
        ("pool", args.pool.as_deref()),
        ("party", args.party.as_deref()),
        ("caller", args.caller.as_deref()),
        ("since", args.since.as_deref()),
        ("until", args.until.as_deref()),
        ("situation", args.situation.as_deref()),
        ("open", args.open.then_some("true")),
    ];
    let after = args.after.as_deref();
    show::rows(
        client,
        &client.list("/v1/calls", &filters, after, Some(args.limit))?,
        &[
            ("CALL", "call_id"),
            ("ARRIVED", "arrived_at"),
            ("CALLER", "caller"),
            ("X", "x"),
            ("CALLEE", "callee"),
            ("STATE", "state"),
            ("SITUATION", "situation"),
            ("STATUS", "sip_status"),
            ("CAUSE", "q850_cause"),
            ("TALKED S", "talked_s"),
        ],
    )
}

pub fn show(client: &Client, args: &Show) -> Result<(), Failure> {
    let mut call = client.get(&format!("/v1/calls/{}", part(&args.call_id)))?;
    if client.json {
        return show::json(&call);
    }
    let steps = call
        .as_object_mut()
        .and_then(|fields| fields.remove("ladder"))
        .unwrap_or_default();
    if !args.ladder {
        return show::fields(client, &call);
    }
    match steps {
        Value::Array(steps) => show::line(ladder::draw(&steps).trim_end()),
        _ => show::line("no ladder is kept of this call"),
    }
}

pub fn live(client: &Client) -> Result<(), Failure> {
    show::rows(
        client,
        &client.list("/v1/calls/live", &[], None, None)?,
        &[
            ("CALL", "call_id"),
            ("STAGE", "stage"),
            ("ARRIVED", "arrived_at"),
            ("CALLER", "caller"),
            ("X", "x"),
            ("CALLEE", "callee"),
            ("FROM", "trunk_in"),
            ("TO", "trunk_out"),
        ],
    )
}
