//! What several subjects need of the server: ledgers in directories of their own, and a master key.

use futures_util::future::join_all;
use maskline_domain::{Envelope, TypedCommand};
use maskline_server::config::Settings;
use maskline_server::ledger::{Ledger, Options, Running};
use maskline_server::seal::{MasterKeys, Sealer};
use maskline_server::serve::ledger_options;
use std::path::Path;

/// A master key in the form of its file.
pub const MASTER_KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

pub fn sealer() -> Sealer {
    Sealer::new(&MasterKeys::parse(MASTER_KEY).expect("a key"))
}

/// A test that does not close its ledger takes the directory away under the writer, which must not end the
/// process that runs all the others.
pub fn options(dir: &Path) -> Options {
    Options {
        on_unknown: |reason| panic!("unknown outcome: {reason}"),
        ..ledger_options(&Settings::default(), dir)
    }
}

pub async fn open(dir: &Path) -> (Ledger, Running) {
    Ledger::open(options(dir)).await.expect("it opens")
}

/// Gives commands together, none of which may be refused.
pub async fn all_done<C: TypedCommand>(ledger: &Ledger, commands: Vec<Envelope<C>>) {
    let answers = commands.into_iter().map(|command| ledger.submit(command));
    for answer in join_all(answers).await {
        if let Err(error) = answer {
            panic!("it is refused: {error}");
        }
    }
}
