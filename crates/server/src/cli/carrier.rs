//! `maskline carrier`.

use std::path::PathBuf;

use clap::Subcommand;
use maskline_domain::CarrierKind;
use maskline_domain::carrier::CA_BYTES_MAX;
use serde_json::Value;

use super::client::part;
use super::{Client, Failure, secret_file, show};
use crate::admin::document::{Document, Unwanted, WantedCarrier};
use crate::suggest;

/// The largest file with a secret that is read, in bytes.
const SECRET_FILE_BYTES_MAX: u64 = 4 << 10;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List carriers
    Ls,
    /// Show everything about one carrier but its secret
    Show {
        /// The carrier's name
        name: String,
    },
    /// Make a carrier, or change one; what is not said stays as it is
    Set(Box<Set>),
    /// Compare what a carrier holds with what is bound: what it lacks it is told again, what is none of ours it is to
    /// let go
    Reconcile {
        /// The carrier's name
        name: String,
        /// Only say what differs
        #[arg(long)]
        dry_run: bool,
    },
    /// Detach all bindings from a carrier that is gone for good: what it was to let go is gone, the others stay and route
    /// without it. No pool may name it any more. Without --force only says which there are
    Forget {
        /// The carrier's name
        name: String,
        /// Do it; a carrier that comes back is told nothing of them any more
        #[arg(long)]
        force: bool,
    },
    /// Take a carrier away that no pool names
    #[command(visible_alias = "delete")]
    Rm {
        /// The carrier's name
        name: String,
    },
}

#[derive(Debug, clap::Args)]
pub struct Set {
    /// The carrier's name
    name: String,
    /// How it is told of bindings: none, http
    #[arg(long, value_parser = kind)]
    kind: Option<CarrierKind>,
    /// Where it is told; an empty one takes it away
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A file with the secret that signs what it is told, whsec_ and base64; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A PEM file of who signs its certificate; an empty file means the system's authorities
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// How long a connection may take to come about, in milliseconds
    #[arg(long, value_name = "MS")]
    connect_timeout_ms: Option<u32>,
    /// How long a request may take, in milliseconds
    #[arg(long, value_name = "MS")]
    request_timeout_ms: Option<u32>,
    /// How long a customer's bind or update waits for it, in milliseconds
    #[arg(long, value_name = "MS")]
    deadline_ms: Option<u32>,
    /// How many requests it may have at once
    #[arg(long, value_name = "COUNT")]
    concurrency: Option<u16>,
    /// After how many failures in a row it is let alone for a while
    #[arg(long, value_name = "COUNT")]
    breaker_failures: Option<u16>,
    /// For how long, in milliseconds
    #[arg(long, value_name = "MS")]
    breaker_open_ms: Option<u32>,
    /// How often what it holds is compared with what is bound, in seconds; 0 means never
    #[arg(long, value_name = "SECONDS")]
    reconcile_every_s: Option<u32>,
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    let document = match command {
        Command::Ls => {
            return show::rows(
                client,
                &client.all("/v1/carriers", &[])?,
                &[
                    ("CARRIER", "name"),
                    ("KIND", "kind"),
                    ("URL", "url"),
                    ("BREAKER", "breaker"),
                    ("WAITING", "waiting"),
                    ("OWED", "owed"),
                    ("CONCURRENCY", "concurrency"),
                    ("DEADLINE MS", "deadline_ms"),
                    ("RECONCILED", "reconciled_at"),
                    ("NOTE", "note"),
                ],
            );
        }
        Command::Show { name } => {
            let answer = client.get(&format!("/v1/carriers/{}", part(name)))?;
            return show::fields(client, &answer);
        }
        Command::Reconcile { name, dry_run } => {
            let path = format!("/v1/carriers/{}/reconcile?dry_run={dry_run}", part(name));
            let found = client.post(&path, &Value::Null)?;
            return show::fields(client, &found);
        }
        Command::Forget { name, force } => {
            let path = format!("/v1/carriers/{}/forget?force={force}", part(name));
            let found = client.post(&path, &Value::Null)?;
            show::fields(client, &found)?;
            if !force && !client.json {
                eprintln!("(nothing is done without --force)");
            }
            return Ok(());
        }
        Command::Set(set) => Document {
            carriers: vec![set.wanted()?],
            ..Document::default()
        },
        Command::Rm { name } => Document {
            remove: Unwanted {
                carriers: vec![name.clone()],
                ..Unwanted::default()
            },
            ..Document::default()
        },
    };
    show::changes(client, &client.apply(&document, false)?, false)
}

impl Set {
    fn wanted(&self) -> Result<WantedCarrier, Failure> {
        Ok(WantedCarrier {
            kind: self.kind,
            url: self.url.clone(),
            secret: secret_file::text(self.secret_file.as_deref(), SECRET_FILE_BYTES_MAX)?,
            ca: secret_file::text(self.ca_file.as_deref(), CA_BYTES_MAX as u64 + 1)?,
            connect_timeout_ms: self.connect_timeout_ms,
            request_timeout_ms: self.request_timeout_ms,
            deadline_ms: self.deadline_ms,
            concurrency: self.concurrency,
            breaker_failures: self.breaker_failures,
            breaker_open_ms: self.breaker_open_ms,
            reconcile_every_s: self.reconcile_every_s,
            ..WantedCarrier::named(&self.name)
        })
    }
}

fn kind(text: &str) -> Result<CarrierKind, String> {
    let mut kinds = CarrierKind::ALL.into_iter();
    kinds.find(|kind| kind.name() == text).ok_or_else(|| {
        let names = CarrierKind::ALL.map(CarrierKind::name);
        suggest::among(text, &names)
    })
}
