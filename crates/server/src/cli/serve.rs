//! `maskline serve`.

use serde_json::json;

use super::{Common, Failure, setting, show};
use crate::serve;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Create, once, an account, a key, pools and numbers to try things with, and an own certificate
    /// for HTTPS
    #[arg(long)]
    pub demo: bool,
    /// `api.listen`
    #[arg(long, value_name = "HOST:PORT", help = setting(
        "Where the customers' interface listens, or `off` for HTTPS alone", "api.listen"
    ))]
    pub api: Option<String>,
    /// `api.https`
    #[arg(long, value_name = "HOST:PORT", help = setting(
        "Where it listens with TLS, when there is a certificate", "api.https"
    ))]
    pub https: Option<String>,
    /// `admin.listen`
    #[arg(long, value_name = "HOST:PORT", help = setting(
        "Where the admin API, metrics and health listen", "admin.listen"
    ))]
    pub admin: Option<String>,
    /// `sip.listen`
    #[arg(long, value_name = "HOST:PORT", help = setting("Where SIP listens", "sip.listen"))]
    pub sip: Option<String>,
    /// `log.level`
    #[arg(long, value_name = "LEVEL", help = setting(
        "Log level, such as info or debug", "log.level"
    ))]
    pub log_level: Option<String>,
    /// Print one line of JSON with the real addresses on standard output, once it serves
    #[arg(long)]
    pub ready_json: bool,
    /// Tell whether it would start: read settings, certificates and the master key, and make nothing
    #[arg(long, conflicts_with = "ready_json")]
    pub check: bool,
}

impl Args {
    /// The flags that are settings: flag, key, text.
    pub fn flags(&self) -> Vec<(&'static str, &'static str, String)> {
        let given = [
            ("--api", "api.listen", &self.api),
            ("--https", "api.https", &self.https),
            ("--admin", "admin.listen", &self.admin),
            ("--sip", "sip.listen", &self.sip),
            ("--log-level", "log.level", &self.log_level),
        ];
        let mut flags: Vec<_> = given
            .into_iter()
            .filter_map(|(flag, key, text)| Some((flag, key, text.clone()?)))
            .collect();
        if self.demo {
            flags.push(("--demo", "demo", "true".to_owned()));
        }
        flags
    }
}

pub fn run(common: &Common, args: &Args) -> Result<(), Failure> {
    let inputs = common.inputs(args.flags());
    if !args.check {
        return serve::run(inputs, args.ready_json);
    }
    let checked = serve::check(&inputs)?;
    if common.json {
        return show::json(&json!({ "warnings": checked.warnings }));
    }
    for warning in &checked.warnings {
        eprintln!("warning: {warning}");
    }
    show::line("the settings are in order")
}
