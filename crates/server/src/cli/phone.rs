//! `maskline phone`: a telephone that waits for calls.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::steps::StepPrinter;
use super::{Common, Failure, block_on};
use maskline_softphone::{Answering, EventKind, Options, Phone, Reply, Sound, sound_files};

/// The longest time that can be given.
const SECONDS_MAX: f64 = 86_400.0;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It takes calls from anybody who reaches it. Let a trunk lead to it, and calls over that trunk ring here:
  maskline trunk set sandbox --peer 127.0.0.1:5070

It prints every SIP message and what it heard, until Ctrl-C.")]
pub struct Args {
    /// Where it listens; others must be able to reach this very address
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5070")]
    listen: SocketAddr,
    /// Its number: calls to another one are answered 404 [default: any]
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    number: Option<String>,
    /// Ring so many seconds, then answer
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "1")]
    answer_after: Duration,
    /// Be busy: refuse with 486
    #[arg(long, group = "instead")]
    busy: bool,
    /// Refuse with 603
    #[arg(long, group = "instead")]
    refuse: bool,
    /// Ring and never answer
    #[arg(long, group = "instead")]
    silent: bool,
    /// Hang up so many seconds after the answer [default: when the caller does]
    #[arg(long, value_name = "S", value_parser = seconds, conflicts_with = "instead")]
    hang_up_after: Option<Duration>,
    /// Play this WAV file once: one channel of 8000 samples a second, as 16-bit PCM, A-law or µ-law
    /// [default: a melody]
    #[arg(long, value_name = "FILE")]
    play: Option<PathBuf>,
    /// Record what is heard into this WAV file; a second call goes to a file of the same name with -2
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// End after the first call
    #[arg(long)]
    once: bool,
}

impl Args {
    fn reply(&self) -> Reply {
        match () {
            () if self.busy => Reply::BUSY,
            () if self.refuse => Reply::DECLINED,
            () if self.silent => Reply::Ring,
            () => Reply::Answer {
                ring: self.answer_after,
                hang_up: self.hang_up_after,
            },
        }
    }

    fn options(&self) -> Result<Options, Failure> {
        if self.listen.ip().is_unspecified() {
            let reason = "--listen: name the address by which others reach this phone";
            return Err(Failure::Usage(reason.to_owned()));
        }
        let mut options = Options::new(self.listen);
        options.record = self.record.clone();
        options.settings.answering = match &self.number {
            Some(number) => Answering::Number(number.clone(), self.reply()),
            None => Answering::Always(self.reply()),
        };
        if let Some(file) = &self.play {
            options.settings.play = sounds(file)?;
        }
        Ok(options)
    }
}

pub fn run(common: &Common, args: &Args) -> Result<(), Failure> {
    let options = args.options()?;
    let printer = StepPrinter {
        json: common.json,
        reveal: common.reveal,
        open: None,
    };
    block_on(async {
        let (phone, mut events) = start(options).await?;
        eprintln!("waiting for calls at {}; Ctrl-C ends", phone.address());
        let mut stop = std::pin::pin!(told_to_stop());
        let told = loop {
            tokio::select! {
                event = events.recv() => {
                    let Some(event) = event else { break Ok(()) };
                    if let Err(failure) = printer.tell(&event) {
                        break Err(failure);
                    }
                    if args.once && matches!(event.kind, EventKind::Over(_)) {
                        break Ok(());
                    }
                }
                () = &mut stop => break Ok(()),
            }
        };
        phone.close().await;
        // What the end of the calls brought.
        while let Ok(event) = events.try_recv() {
            printer.tell(&event)?;
        }
        told
    })
}

/// Starts a phone, or says why not.
pub async fn start(
    options: Options,
) -> Result<
    (
        Phone,
        tokio::sync::mpsc::Receiver<maskline_softphone::Event>,
    ),
    Failure,
> {
    let listen = options.settings.advertised;
    Phone::start(options)
        .await
        .map_err(|error| Failure::Failed(format!("cannot listen on {listen}: {error}")))
}

/// A file to be played.
pub fn sounds(file: &Path) -> Result<Vec<Sound>, Failure> {
    let samples = sound_files::read(file)
        .map_err(|error| Failure::Usage(format!("--play {}: {error}", file.display())))?;
    Ok(vec![Sound::Samples(samples.into())])
}

/// Resolves at Ctrl-C, or when the process is told to end.
pub async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        // Then Ctrl-C must do.
        Err(_) => return drop(tokio::signal::ctrl_c().await),
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// A time in seconds, with parts.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds".to_owned())?;
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return Err("between 0 and 86400 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A number as it is dialled.
pub fn number(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    maskline_domain::PhoneNumber::parse(digits)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_checked() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        for wrong in ["", "-1", "1e9", "NaN", "soon"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(number("+8613900000000"), Ok("+8613900000000".to_owned()));
        for wrong in ["", "+", "139-0000", "ls", "1234567890123456789"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
