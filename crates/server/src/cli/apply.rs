//! `maskline apply`.

use std::io::Read;
use std::path::PathBuf;

use super::{Client, Failure, show};
use crate::admin::document::Document;

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
    let document = parse(&text).map_err(|reason| Failure::Usage(format!("{name}{reason}")))?;
    show::changes(
        client,
        &client.apply(&document, args.dry_run)?,
        args.dry_run,
    )
}

/// Reads TOML or JSON; a mistake is told as `:LINE: reason`.
fn parse(text: &str) -> Result<Document, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| format!(":{}: {error}", error.line()));
    }
    toml::from_str(text).map_err(|error| {
        let before = error.span().map_or("", |span| &text[..span.start]);
        format!(
            ":{}: {}",
            1 + before.matches('\n').count(),
            error.message().trim()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_toml_or_json() {
        let toml = parse("[[account]]\nid = \"acme\"\nreal_name_verified = true\n").unwrap();
        let json = parse(r#" {"account": [{"id": "acme", "real_name_verified": true}]}"#).unwrap();
        assert_eq!(toml, json);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let error = parse("[[account]]\nid = \"acme\"\nstatus = \"rich\"\n").unwrap_err();
        assert!(error.starts_with(":3: unknown variant"), "{error}");
        let error = parse("{\"account\":\n [{}]}").unwrap_err();
        assert!(error.starts_with(":2: missing field"), "{error}");
    }
}
