//! `maskline serve`.

use serde_json::json;

use super::{Common, Failure, show};
use crate::serve;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Create, once, an account, a key, pools and numbers to try things with, and an own certificate
    /// for HTTPS
    #[arg(long)]
    pub demo: bool,
    /// Where the customers' interface listens, or `off` for HTTPS alone [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    pub api: Option<String>,
    /// Where it listens with TLS, when there is a certificate [default: 127.0.0.1:8443]
    #[arg(long, value_name = "HOST:PORT")]
    pub https: Option<String>,
    /// Where the admin API, metrics and health listen [default: 127.0.0.1:8081]
    #[arg(long, value_name = "HOST:PORT")]
    pub admin: Option<String>,
    /// Where SIP listens [default: 127.0.0.1:5060]
    #[arg(long, value_name = "HOST:PORT")]
    pub sip: Option<String>,
    /// Log level, such as info or debug [default: info]
    #[arg(long, value_name = "LEVEL")]
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
