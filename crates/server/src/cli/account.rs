//! `maskline account`.

use clap::Subcommand;
use maskline_domain::account::AccountStatus;

use super::client::part;
use super::{Client, Failure, show};
use crate::admin::document::{Document, WantedAccount};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List accounts
    Ls,
    /// Show one account
    Show {
        /// The account's name
        id: String,
    },
    /// Make an account, or change one; what is not said stays as it is
    Set {
        /// The account's name: letters, digits, '-', '_', '.', '@'
        id: String,
        /// Its standing
        #[arg(long, value_enum)]
        status: Option<AccountStatusArg>,
        /// Whether its owner has proved their name; the service is for verified accounts only
        #[arg(long, value_name = "BOOL")]
        verified: Option<bool>,
        /// Whether it has opened communication products
        #[arg(long, value_name = "BOOL")]
        communications_opened: Option<bool>,
        /// Whether it has opened number protection
        #[arg(long, value_name = "BOOL")]
        product_opened: Option<bool>,
        /// Requests a second over all its keys; 0 for the service's setting
        #[arg(long, value_name = "COUNT")]
        requests_per_s: Option<u32>,
        /// Bindings in force at once, in all its pools; 0 for no quota
        #[arg(long, value_name = "COUNT")]
        bindings_max: Option<u32>,
    },
}

/// An account's standing, as the command line spells it.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum AccountStatusArg {
    /// In good standing
    Active,
    /// Frozen
    Abnormal,
    /// Unpaid
    InArrears,
    /// Ended
    Closed,
}

impl From<AccountStatusArg> for AccountStatus {
    fn from(standing: AccountStatusArg) -> Self {
        match standing {
            AccountStatusArg::Active => Self::Active,
            AccountStatusArg::Abnormal => Self::Abnormal,
            AccountStatusArg::InArrears => Self::InArrears,
            AccountStatusArg::Closed => Self::Closed,
        }
    }
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Ls => show::rows(
            client,
            &client.all("/v1/accounts", &[])?,
            &[
                ("ACCOUNT", "id"),
                ("STATUS", "status"),
                ("VERIFIED", "real_name_verified"),
                ("COMMUNICATIONS", "communications_opened"),
                ("PRODUCT", "product_opened"),
            ],
        ),
        Command::Show { id } => {
            show::fields(client, &client.get(&format!("/v1/accounts/{}", part(id)))?)
        }
        Command::Set {
            id,
            status,
            verified,
            communications_opened,
            product_opened,
            requests_per_s,
            bindings_max,
        } => {
            let document = Document {
                accounts: vec![WantedAccount {
                    status: status.map(AccountStatus::from),
                    real_name_verified: *verified,
                    communications_opened: *communications_opened,
                    product_opened: *product_opened,
                    requests_per_s_max: *requests_per_s,
                    bindings_max: *bindings_max,
                    ..WantedAccount::named(id)
                }],
                ..Document::default()
            };
            show::changes(client, &client.apply(&document, false)?, false)
        }
    }
}
