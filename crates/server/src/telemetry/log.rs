//! Structured logs on standard error, as text or JSON, with a level that changes while running.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::config::{ConfigError, LogFilter, LogFormat, LogSettings, Part};

/// Changes what is logged.
#[derive(Clone)]
pub struct LogHandle(reload::Handle<EnvFilter, Registry>);

impl LogHandle {
    /// Puts a filter in force.
    pub fn set(&self, filter: &LogFilter) {
        // Fails only when the subscriber is gone; then nothing is logged anyway.
        let _ = self.0.reload(env_filter(filter));
    }

    /// The part that follows `log.level`.
    pub fn follower(&self) -> Part {
        let handle = self.clone();
        Box::new(move |loaded| -> Result<_, ConfigError> {
            let handle = handle.clone();
            let filter = loaded.settings.log.level.clone();
            Ok(Box::new(move || handle.set(&filter)))
        })
    }
}

/// Starts logging for the whole process. To be called once.
///
/// # Errors
/// When a logger is installed already.
pub fn init_log(settings: &LogSettings) -> Result<LogHandle, String> {
    let ansi = std::io::stderr().is_terminal();
    let (subscriber, handle) = subscriber(settings, std::io::stderr, ansi);
    subscriber.try_init().map_err(|error| error.to_string())?;
    Ok(handle)
}

fn subscriber<W>(
    settings: &LogSettings,
    writer: W,
    ansi: bool,
) -> (impl Subscriber + Send + Sync, LogHandle)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(env_filter(&settings.level));
    let subscriber = Registry::default()
        .with(filter)
        .with(lines(settings.format, writer, ansi));
    (subscriber, LogHandle(handle))
}

fn lines<S, W>(format: LogFormat, writer: W, ansi: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Text => layer.with_ansi(ansi).boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
    }
}

fn env_filter(filter: &LogFilter) -> EnvFilter {
    EnvFilter::builder()
        .parse(filter.as_str())
        .expect("a LogFilter parsed when it was made")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn the_level_changes_while_running() {
        let lines = LogBuffer::default();
        let (subscriber, handle) = subscriber(&settings(LogFormat::Text), lines.clone(), false);
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("unheard");
            handle.set(&"debug".parse().unwrap());
            tracing::debug!("heard");
            handle.set(&"off".parse().unwrap());
            tracing::error!("silenced");
        });
        let text = lines.text();
        assert!(text.contains("heard") && !text.contains("unheard") && !text.contains("silenced"));
    }

    #[test]
    fn json_lines_carry_fields_beside_the_message() {
        let lines = LogBuffer::default();
        let (subscriber, _handle) = subscriber(&settings(LogFormat::Json), lines.clone(), false);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(pool = "FC1", "pool made");
        });
        let line: serde_json::Value = serde_json::from_str(lines.text().trim()).expect("JSON");
        assert_eq!(line["message"], "pool made");
        assert_eq!(line["pool"], "FC1");
        assert_eq!(line["level"], "INFO");
    }

    fn settings(format: LogFormat) -> LogSettings {
        LogSettings {
            format,
            ..crate::config::Settings::default().log
        }
    }

    #[derive(Clone, Default)]
    struct LogBuffer(Arc<Mutex<Vec<u8>>>);

    impl LogBuffer {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for LogBuffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for LogBuffer {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }
}
