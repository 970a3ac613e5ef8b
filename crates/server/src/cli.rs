//! The command line. `serve` runs the service; most other commands speak to a running one over its
//! admin port, with the token from its data directory; a few work on the data directory of a service
//! that is stopped.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings, 3 the service cannot be
//! reached, 75 the surroundings do not allow it now. 70 is the writer's
//! ([`EXIT_UNKNOWN`](crate::ledger::EXIT_UNKNOWN)).

mod account;
mod apply;
mod audit;
mod binding;
mod call;
mod carrier;
mod client;
mod clock;
mod data;
mod data_keys;
mod dial;
mod document;
mod drain;
mod explain;
mod hold;
mod journal;
mod key;
mod ladder;
mod list;
mod number;
mod number_file;
mod operator;
mod phone;
mod pool;
mod records;
mod retention;
mod seal;
mod secret_file;
mod serve;
mod show;
mod steps;
mod trunk;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::api::actions;
use crate::config::{ConfigErrors, Inputs, Loaded, default_text, load};
use crate::failure::Failure;

pub use client::Client;

/// A self-hosted phone number privacy service, compatible with the Dyplsapi interface.
#[derive(Debug, Parser)]
#[command(
    name = "maskline",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Common {
    /// Settings file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "MASKLINE_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,
    /// `data`
    #[arg(long, global = true, value_name = "DIR", help = setting("Data directory", "data"))]
    data: Option<String>,
    /// Address of the service's admin port, as HOST:PORT or a URL [default: as the service in the
    /// data directory says]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "MASKLINE_ADMIN_URL",
        hide_env_values = true
    )]
    server: Option<String>,
    /// File with the token of an operator [default: MASKLINE_TOKEN, else admin.token in the data
    /// directory]
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    /// Show whole phone numbers of people; the service writes down that they were looked at
    #[arg(long, global = true)]
    reveal: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Args),
    /// Make accounts, users, keys, carriers, pools, numbers and trunks as a file says
    Apply(apply::Args),
    /// Tell what a call or a bind would do, rule by rule
    Explain(explain::Args),
    /// Tell how the service is
    Status,
    /// Accounts
    #[command(subcommand)]
    Account(account::Command),
    /// AccessKeys
    #[command(subcommand)]
    Key(key::Command),
    /// Operators: who may use the admin interface, and what each may do
    #[command(subcommand)]
    Operator(operator::Command),
    /// Users of an account, and what they may do
    #[command(subcommand)]
    User(user::Command),
    /// Number pools
    #[command(subcommand)]
    Pool(pool::Command),
    /// X numbers
    #[command(subcommand)]
    Number(number::Command),
    /// Bindings
    #[command(subcommand)]
    Binding(binding::Command),
    /// Carriers, which are told of bindings
    #[command(subcommand)]
    Carrier(carrier::Command),
    /// SIP trunks
    #[command(subcommand)]
    Trunk(trunk::Command),
    /// Call a number and tell what each step showed; or look at call records
    Call(dial::Args),
    /// Be a telephone that waits for calls
    Phone(phone::Args),
    /// The journal
    #[command(subcommand)]
    Journal(journal::Command),
    /// Sealing at rest
    #[command(subcommand)]
    Seal(seal::Command),
    /// Take no more calls, as before a stop; those that stand may go on for process.drain_timeout_s
    Drain(drain::Args),
    /// List what operators and jobs changed
    Audit(audit::Args),
    /// How long records are kept
    #[command(subcommand)]
    Retention(retention::Command),
    /// What is kept whatever the retention says
    #[command(subcommand)]
    Hold(hold::Command),
    /// The clock
    #[command(subcommand)]
    Clock(clock::Command),
    /// Copy the data into a new directory, also while the service runs
    Backup(data::Backup),
    /// Put a backup into an empty data directory
    Restore(data::Restore),
    /// Replay and verify everything in the data directory, or in a backup named by --data
    Check(data::Check),
    /// Erase what is kept of a person in bindings that have ended and in call records; the other party of a binding
    /// stays, and bindings in force are left as they are
    Erase(data::Erase),
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // Standard output was closed, as by `| head`; nobody is left to be told.
        Err(Failure::Failed(reason)) if reason.contains("Broken pipe") => ExitCode::SUCCESS,
        Err(failure) => {
            for line in failure.to_string().lines() {
                eprintln!("maskline: {line}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let common = &cli.common;
    match cli.command {
        Command::Serve(args) => serve::run(common, &args),
        Command::Backup(args) => data::backup(common, &args),
        Command::Restore(args) => data::restore(common, &args),
        Command::Check(args) => data::check(common, &args),
        Command::Journal(command) => journal::run(common, &command),
        Command::Seal(command) => seal::run(common, &command),
        Command::Operator(command) => operator::run(common, &command),
        Command::Call(args) => dial::run(common, args),
        Command::Phone(args) => phone::run(common, &args),
        other => {
            let client = Client::find(common)?;
            match other {
                Command::Apply(args) => apply::run(&client, &args),
                Command::Explain(args) => explain::run(&client, &args),
                Command::Status => show::fields(&client, &client.get("/v1/status")?),
                Command::Account(command) => account::run(&client, &command),
                Command::Key(command) => key::run(&client, &command),
                Command::User(command) => user::run(&client, &command),
                Command::Pool(command) => pool::run(&client, &command),
                Command::Number(command) => number::run(&client, &command),
                Command::Binding(command) => binding::run(&client, &command),
                Command::Carrier(command) => carrier::run(&client, &command),
                Command::Trunk(command) => trunk::run(&client, &command),
                Command::Drain(args) => drain::run(&client, &args),
                Command::Audit(args) => audit::run(&client, &args),
                Command::Retention(command) => retention::run(&client, &command),
                Command::Hold(command) => hold::run(&client, &command),
                Command::Clock(command) => clock::run(&client, &command),
                Command::Erase(args) => data::erase(&client, &args),
                Command::Serve(_)
                | Command::Backup(_)
                | Command::Restore(_)
                | Command::Check(_)
                | Command::Journal(_)
                | Command::Seal(_)
                | Command::Operator(_)
                | Command::Call(_)
                | Command::Phone(_) => Ok(()),
            }
        }
    }
}

/// Runs what waits on the database, on this thread.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// The help of a flag that sets a key, with its default.
fn setting(what: &str, key: &str) -> String {
    format!("{what} [default: {}]", default_text(key))
}

impl Common {
    /// The settings, with the flags that every command has on top.
    fn load(&self) -> Result<Loaded, ConfigErrors> {
        load(&self.inputs(Vec::new()))
    }

    /// Where settings come from, with further flags: flag, key, text.
    fn inputs(&self, mut flags: Vec<(&'static str, &'static str, String)>) -> Inputs {
        if let Some(data) = &self.data {
            flags.push(("--data", "data", data.clone()));
        }
        Inputs::from_environment(self.config.clone(), flags, actions::names().collect())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_says_what_everything_is() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        let mut open = vec![&command];
        while let Some(command) = open.pop() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                let help = argument.get_help().or(argument.get_long_help());
                assert!(
                    help.is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
            open.extend(command.get_subcommands());
        }
    }

    #[test]
    fn flags_of_serve_are_settings() {
        let cli = Cli::parse_from([
            "maskline",
            "serve",
            "--data",
            "/d",
            "--demo",
            "--api",
            "127.0.0.1:0",
            "--ready-json",
        ]);
        let Command::Serve(args) = &cli.command else {
            panic!("serve");
        };
        let loaded = load(&Inputs {
            variables: Vec::new(),
            ..cli.common.inputs(args.flags())
        })
        .unwrap();
        assert_eq!(loaded.settings.data, "/d");
        assert!(loaded.settings.demo && args.ready_json);
        assert_eq!(loaded.settings.api.listen.get().unwrap().port(), 0);
        // Limits can be set for the actions that there are.
        assert!(cli.common.inputs(Vec::new()).actions.contains(&"BindAxn"));
    }
}
