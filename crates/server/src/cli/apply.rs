//! `maskline apply`.

use std::io::Read;
use std::path::PathBuf;

use super::client::Mode;
use super::document::Written;
use super::{Client, Failure, show};

/// The largest document that is read, in bytes.
const DOCUMENT_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The document: TOML, or JSON if it begins with a brace; `-` reads standard input
    file: PathBuf,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(client: &Client, args: &Args) -> Result<(), Failure> {
    let name = args.file.display();
    let mut text = String::new();
    let read = if args.file.as_os_str() == "-" {
        std::io::stdin()
            .take(DOCUMENT_BYTES_MAX)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(&args.file)
            .and_then(|file| file.take(DOCUMENT_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    let written = Written::read(&name.to_string(), &text).map_err(Failure::Usage)?;
    let mode = Mode {
        dry_run: args.dry_run,
        ..Mode::default()
    };
    let answer = client.apply_as(&written.document, mode, &|entry| written.place(entry))?;
    show::changes(client, &answer, args.dry_run)
}
