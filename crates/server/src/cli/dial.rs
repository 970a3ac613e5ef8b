//! `maskline call CALLER X`: makes a call and tells what each step showed. `maskline call ls` and `show`
//! are in [`super::call`].

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::phone::{number, seconds, sounds, start, told_to_stop};
use super::steps::{StepPrinter, ending};
use super::{Client, Common, Failure, block_on, call};
use crate::serve::Addresses;
use maskline_domain::PhoneNumber;
use maskline_sip::dtmf::code_of;
use maskline_softphone::{Answering, EndedBy, EventKind, Options, Order, Reply, Report, Sound};

/// What a caller says if no file is given: a tone that no phone of the demo has.
const TONE_HZ: u16 = 440;

#[derive(Debug, clap::Args)]
#[command(
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    after_help = "\
In the demo these numbers can be called from any number:
  17080000000  answers, plays a melody and echoes what it hears
  17080000001  is busy (486)
  17080000002  rings and never answers
  17080000003  refuses (603)
  17080000004  hangs up after 3 seconds
  17080000005  says that it cannot be reached, before any answer, then 480
  17080000006  is unreachable (503)

Exit codes: 0 the call was answered, 1 it was not, 2 wrong usage, 3 nobody answers SIP there."
)]
pub struct Args {
    #[command(subcommand)]
    records: Option<call::Command>,
    /// The number to call from
    #[arg(value_name = "CALLER", required = true, value_parser = number)]
    caller: Option<String>,
    /// The number to dial
    #[arg(value_name = "X", required = true, value_parser = number)]
    x: Option<String>,
    /// Where SIP is taken [default: as the service in the data directory says]
    #[arg(long, value_name = "HOST:PORT")]
    sip: Option<String>,
    /// Hang up so many seconds after the answer
    #[arg(long = "for", value_name = "S", value_parser = seconds, default_value = "10")]
    length: Duration,
    /// Press these keys after the answer: 0-9, *, #, A-D
    #[arg(long, value_name = "DIGITS", value_parser = dtmf)]
    dtmf: Option<String>,
    /// Say what is in this WAV file: one channel of 8000 samples a second, as 16-bit PCM, A-law or
    /// µ-law [default: a tone of 440 Hz]
    #[arg(long, value_name = "FILE")]
    play: Option<PathBuf>,
    /// Record what is heard into this WAV file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

pub fn run(common: &Common, args: Args) -> Result<(), Failure> {
    if let Some(records) = &args.records {
        return call::run(&Client::find(common)?, records);
    }
    let (Some(caller), Some(x)) = (&args.caller, &args.x) else {
        return Err(Failure::Usage("a caller and a number to dial".to_owned()));
    };
    let play = match &args.play {
        Some(file) => sounds(file)?,
        None => vec![Sound::Tone(TONE_HZ, None)],
    };
    let printer = StepPrinter {
        json: common.json,
        reveal: common.reveal,
        open: PhoneNumber::parse(x.trim_start_matches('+')).ok(),
    };
    let report = block_on(async {
        let server = find_server(common, args.sip.as_deref()).await?;
        let order = Order {
            play: Some(play),
            keys: args.dtmf.clone().unwrap_or_default(),
            hang_up: Some(args.length),
            ..Order::new(server, x, caller)
        };
        let from = PhoneNumber::parse(caller.trim_start_matches('+')).ok();
        eprintln!("{} calls {x} at {server}", printer.number(from));
        make(order, args.record.clone(), &printer).await
    })?;
    outcome(&report)
}

/// Makes the call and prints it as it goes.
async fn make(
    order: Order,
    record: Option<PathBuf>,
    printer: &StepPrinter,
) -> Result<Report, Failure> {
    let server = order.server;
    let mut options = Options::new(facing(server)?);
    options.record = record;
    options.settings.peer = Some(server);
    options.settings.answering = Answering::Always(Reply::BUSY);
    let (phone, mut events) = start(options).await?;
    let ended = || Failure::Failed("the phone ended by itself".to_owned());
    let call = phone.call(order).await.ok_or_else(ended)?;
    let mut stop = std::pin::pin!(told_to_stop());
    let mut stopped = false;
    let report = loop {
        tokio::select! {
            event = events.recv() => {
                let event = event.ok_or_else(ended)?;
                if let Err(failure) = printer.tell(&event) {
                    // Nobody reads any more; the other side must still hear that it is over.
                    phone.close().await;
                    return Err(failure);
                }
                if let EventKind::Over(report) = event.kind {
                    break report;
                }
            }
            () = &mut stop, if !stopped => {
                stopped = true;
                phone.hang_up(call).await;
            }
        }
    };
    phone.close().await;
    while let Ok(event) = events.try_recv() {
        printer.tell(&event)?;
    }
    Ok(*report)
}

/// A call that was answered is a success; of any other the failure says why.
fn outcome(report: &Report) -> Result<(), Failure> {
    if report.is_answered() {
        return Ok(());
    }
    if report.by == EndedBy::Silence {
        let reason = "nobody answers SIP there; is the service running?";
        return Err(Failure::Unreachable(reason.to_owned()));
    }
    let hint = match report.status {
        Some(403) => " (no trunk of the service has the address of this phone as its peer)",
        _ => "",
    };
    Err(Failure::Failed(format!("{}{hint}", ending(report))))
}

/// Where the service takes calls: as given, else as the service in the data directory says, else as the
/// settings say.
async fn find_server(common: &Common, given: Option<&str>) -> Result<SocketAddr, Failure> {
    let wanted = match given {
        Some(given) => given.to_owned(),
        None => {
            let settings = common.load()?.settings;
            let told = Addresses::read(Path::new(&settings.data)).and_then(|told| told.sip);
            told.unwrap_or_else(|| settings.sip.listen.to_string())
        }
    };
    let wrong = |reason: String| Failure::Usage(format!("--sip {wanted}: {reason}"));
    let mut found = tokio::net::lookup_host(&wanted)
        .await
        .map_err(|error| wrong(error.to_string()))?;
    let address = found
        .next()
        .ok_or_else(|| wrong("no such host".to_owned()))?;
    Ok(crate::serve::reachable(address))
}

/// The address of this machine that faces another, with any free port. Nothing is sent.
fn facing(server: SocketAddr) -> Result<SocketAddr, Failure> {
    let any: SocketAddr = if server.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0; 8], 0).into()
    };
    let find = || {
        let probe = UdpSocket::bind(any)?;
        probe.connect(server)?;
        probe.local_addr()
    };
    let own =
        find().map_err(|error| Failure::Unreachable(format!("no way to {server}: {error}")))?;
    Ok(SocketAddr::new(own.ip(), 0))
}

fn dtmf(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.len() <= 32 && text.chars().all(|key| code_of(key).is_some()) {
        return Ok(text.to_owned());
    }
    Err("1 to 32 of 0-9, *, #, A-D".to_owned())
}
