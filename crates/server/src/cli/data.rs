//! Commands about the data as a whole: `backup`, `restore`, `check`, `erase`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use maskline_domain::PhoneNumber;
use maskline_store::erasure::LIST;
use maskline_store::{UNSEALED, backup, check, directory};
use serde_json::json;

use super::data_keys::{self, Found};
use super::{Client, Common, Failure, show};
use crate::config::{OffOr, Settings};
use crate::ledger;
use crate::seal::beside;
use crate::serve::ledger_options;

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub struct Backup {
    /// The directory to make; it must not be there, or be empty
    to: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The directory that `maskline backup` made
    from: PathBuf,
    /// The newest list of erasures (erasures.jsonl of the data directory that was lost); what it
    /// names is erased again
    #[arg(long, value_name = "FILE")]
    erasures: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct Check {}

#[derive(Debug, clap::Args)]
pub struct Erase {
    /// The person's number
    number: String,
    /// Do it without asking; what is erased cannot be brought back
    #[arg(long)]
    yes: bool,
}

/// Copies the database while it is in use, as one consistent whole. The master key is never in it.
pub fn backup(common: &Common, args: &Backup) -> Result<(), Failure> {
    let settings = common.load()?.settings;
    let data = Path::new(&settings.data);
    eprintln!("copying {} to {}", data.display(), args.to.display());
    let made = super::block_on(async {
        backup::backup(data, &args.to)
            .await
            .map_err(|error| Failure::Failed(error.to_string()))
    })?;
    let keep = kept(common, &settings);
    if common.json {
        let mut shown = json!(made);
        shown["keep"] = json!(keep);
        return show::json(&shown);
    }
    show::line(&format!(
        "backup of batch {} made; {} recording(s) listed, not copied. The master key {}is not in it: \
         keep that apart.",
        made.seq,
        made.recordings.len(),
        made.master_keys
            .iter()
            .map(|id| format!("{id} "))
            .collect::<String>()
    ))?;
    show::line("What else an installation needs, to be copied by yourself:")?;
    for kept in &keep {
        show::line(&format!("  {}: {}", kept.what, kept.place))?;
    }
    Ok(())
}

/// A thing that is no part of a backup and that an installation needs.
#[derive(Debug, serde::Serialize)]
struct Kept {
    what: &'static str,
    place: String,
}

/// What the settings name, or would find, outside the database.
fn kept(common: &Common, settings: &Settings) -> Vec<Kept> {
    let data = Path::new(&settings.data);
    let inside = |name: &str| data.join(name).display().to_string();
    let text = |text: &OffOr<String>| text.get().cloned();
    let (key, file) = (&settings.master_key, settings.master_key.file.get());
    let master = match (std::env::var_os("MASKLINE_MASTER_KEY"), key.command.first()) {
        (Some(_), _) => "MASKLINE_MASTER_KEY".to_owned(),
        (None, Some(program)) => format!("what {program} prints"),
        (None, None) => file
            .cloned()
            .unwrap_or_else(|| beside(data).display().to_string()),
    };
    let prompts = text(&settings.prompts.directory).unwrap_or_else(|| inside("prompts"));
    let things = [
        ("the master key, apart from backups", Some(master)),
        (
            "the settings",
            common
                .config
                .as_ref()
                .map(|file| file.display().to_string()),
        ),
        ("recordings", Some(inside(backup::RECORDINGS))),
        ("the list of erasures", Some(inside(LIST))),
        ("prompts and ring tones", Some(prompts)),
        ("certificate of the API", text(&settings.api.certificate)),
        ("its private key", text(&settings.api.private_key)),
        ("certificate of SIP", text(&settings.sip.certificate)),
        ("its private key", text(&settings.sip.private_key)),
        (
            "authorities of SIP clients",
            text(&settings.sip.client_authorities),
        ),
        (
            "authorities of SIP servers",
            text(&settings.sip.server_authorities),
        ),
    ];
    things
        .into_iter()
        .filter_map(|(what, place)| {
            Some(Kept {
                what,
                place: place?,
            })
        })
        .collect()
}

/// Puts a backup into an empty data directory, and skips ids ahead so that none is given twice.
pub fn restore(common: &Common, args: &Restore) -> Result<(), Failure> {
    let loaded = common.load()?;
    let settings = &loaded.settings;
    if args.erasures.is_none() {
        eprintln!(
            "no --erasures: persons erased since the backup come back; the list is {LIST} in the \
             data directory that was lost"
        );
    }
    let data = Path::new(&settings.data);
    let restored = super::block_on(async {
        let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
        // Before anything is written: a copy that nobody can open helps nobody.
        let mut copy = directory::copy(&args.from)
            .await
            .map_err(|error| failed(&error))?;
        let keyring = data_keys::for_writing(&loaded, data, &mut copy).await?;
        copy.close().await.map_err(|error| failed(&error))?;
        let options = ledger_options(settings, data).with_keys(keyring);
        ledger::restore(&args.from, options, args.erasures.as_deref())
            .await
            .map_err(|error| failed(&error))
    })?;
    let manifest = restored.manifest;
    show::line(&format!(
        "batch {} restored into {}; a new epoch has begun. Put the recordings back from your own \
         copy ({} listed).",
        manifest.seq,
        settings.data,
        manifest.recordings.len()
    ))?;
    match restored.owner {
        Some((user, group)) => show::line(&format!(
            "the files belong to user {user} and group {group}, as what lies above; give the master key \
             and the recordings to them too"
        )),
        None => Ok(()),
    }
}

/// Replays and verifies everything, changing nothing.
pub fn check(common: &Common, _: &Check) -> Result<(), Failure> {
    let loaded = common.load()?;
    let data = Path::new(&loaded.settings.data);
    let (report, not_checked) = super::block_on(async {
        let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
        let readers = directory::readers(data, 1)
            .await
            .map_err(|error| failed(&error))?;
        let mut conn = readers.acquire().await.map_err(|error| failed(&error))?;
        let (codec, not_checked, wrong) = match data_keys::find(&loaded, data, &mut conn).await? {
            Found::Codec(codec) => (codec, None, None),
            Found::Missing(why) => (UNSEALED.clone(), Some(why), None),
            Found::Wrong(why) => (UNSEALED.clone(), Some(why.clone()), Some(why)),
        };
        let mut told = Instant::now();
        let progress = |reached: u64, of: u64| {
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                eprintln!("batch {reached} of {of}");
            }
        };
        let mut report = check::check(&mut conn, &codec, progress)
            .await
            .map_err(|error| failed(&error))?;
        report.problems.extend(wrong);
        Ok((report, not_checked))
    })?;
    let found = json!({
        "batch": report.seq,
        "batches": report.batches,
        "events": report.events,
        "erased": report.erased,
        "snapshots": report.snapshots,
        "bindings": report.bindings,
        "state_checked": report.state_checked,
        "not_checked_because": not_checked,
        "problems": report.problems,
    });
    if common.json {
        show::json(&found)?;
    } else if let Some(why) = not_checked {
        show::line(&format!(
            "chain and order of {} batches up to batch {} looked at",
            report.batches, report.seq
        ))?;
        show::line(&format!(
            "NOT CHECKED: state, snapshots and personal values; {why}"
        ))?;
        tell(&report.problems)?;
    } else {
        show::line(&format!(
            "{} batches with {} events replayed up to batch {}, {} snapshot(s) compared, {} \
             binding(s) in the state, {} event(s) of erased persons",
            report.batches,
            report.events,
            report.seq,
            report.snapshots,
            report.bindings,
            report.erased
        ))?;
        tell(&report.problems)?;
    }
    if report.problems.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{} problem(s) found",
        report.problems.len()
    )))
}

fn tell(problems: &[String]) -> Result<(), Failure> {
    let mut problems = problems.iter();
    problems.try_for_each(|problem| show::line(&format!("PROBLEM: {problem}")))
}

/// Erases what is kept of a person in bindings that have ended.
pub fn erase(client: &Client, args: &Erase) -> Result<(), Failure> {
    let number =
        PhoneNumber::parse(&args.number).map_err(|error| Failure::Usage(error.to_string()))?;
    if !args.yes && !confirmed()? {
        return Err(Failure::Failed("nothing was erased".to_owned()));
    }
    let erased = client.post("/v1/erasures", &json!({ "number": number }))?;
    if client.json {
        return show::json(&erased);
    }
    show::line(&format!(
        "erased from {} ended binding(s) and {} record(s)",
        erased["bindings"], erased["records"]
    ))?;
    match erased["live"].as_u64() {
        Some(live) if live > 0 => show::line(&format!(
            "{live} live binding(s) of this person were left as they are; unbind them and erase again"
        )),
        _ => Ok(()),
    }
}

fn confirmed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "say --yes to erase without being asked".to_owned(),
        ));
    }
    eprint!("What is kept of this person in ended bindings goes for good. Type yes: ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
