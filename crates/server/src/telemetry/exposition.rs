//! The two text formats in which metrics are shown, and which of them a scraper asked for.
//!
//! The registry writes OpenMetrics 1.0.0. The older Prometheus text format (0.0.4) differs in the names
//! of families: it calls a counter and an info by the names of their samples, knows no `info`, and has
//! neither units nor an end mark. `promtool check metrics` reads the older one.

use std::borrow::Cow;

/// How metrics are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exposition {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// The Prometheus text format, version 0.0.4.
    Text,
}

impl Exposition {
    /// What a request's `Accept` asks for (RFC 9110 section 12.5.1): OpenMetrics where it is named and
    /// nothing is preferred to it, else the text format, as scrapers and people without a wish expect.
    pub(super) fn asked_for(accept: Option<&str>) -> Self {
        let accept = accept.unwrap_or("");
        let open = quality(accept, "application/openmetrics-text");
        let text = quality(accept, "text/plain");
        if open > 0.0 && open >= text {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// The media type of the answer.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The metrics in this format, made of what the registry wrote.
    pub(super) fn write(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Text => to_text(&open_metrics),
        }
    }
}

/// The highest quality that `accept` gives to a media type by its name; 0 where it does not name it.
fn quality(accept: &str, media_type: &str) -> f32 {
    accept
        .split(',')
        .filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_named = parts.next()?.eq_ignore_ascii_case(media_type);
            let quality = parts.find_map(|part| part.strip_prefix("q="));
            is_named.then(|| quality.map_or(1.0, |q| q.parse().unwrap_or(0.0)))
        })
        .fold(0.0, f32::max)
}

fn to_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 256);
    // HELP may come before TYPE, so it waits until the type says how the family is called.
    let mut help: Option<(&str, &str)> = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            let (name, kind) = family(name, kind);
            if let Some((_, words)) = help.take() {
                text.extend(["# HELP ", &name, " ", words, "\n"]);
            }
            text.extend(["# TYPE ", &name, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            text.extend([line, "\n"]);
        }
    }
    text
}

/// What the older format calls a family, and its type there.
fn family<'a>(name: &'a str, kind: &'a str) -> (Cow<'a, str>, &'a str) {
    match kind {
        "counter" => (Cow::Owned(format!("{name}_total")), kind),
        "info" => (Cow::Owned(format!("{name}_info")), "gauge"),
        "unknown" => (Cow::Borrowed(name), "untyped"),
        _ => (Cow::Borrowed(name), kind),
    }
}

#[cfg(test)]
mod tests {
    use super::Exposition::{OpenMetrics, Text};
    use super::*;

    #[test]
    fn the_format_is_what_accept_prefers() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let older = "text/plain;version=0.0.4;q=1,*/*;q=0.1";
        let text_first = "text/plain, application/openmetrics-text;q=0.9";
        let rows = [
            (None, Text),
            (Some(""), Text),
            (Some("*/*"), Text),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Text),
            (Some("text/plain"), Text),
            (Some(older), Text),
            (Some(text_first), Text),
            (Some("application/openmetrics-text; q=0"), Text),
            (Some("application/openmetrics-text; q=first"), Text),
            (Some("application/openmetrics-text"), OpenMetrics),
            (
                Some("Application/OpenMetrics-Text; version=1.0.0"),
                OpenMetrics,
            ),
            (Some(prometheus), OpenMetrics),
        ];
        for (accept, expected) in rows {
            assert_eq!(Exposition::asked_for(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn families_are_called_by_their_samples_in_the_older_format() {
        let open = "# HELP sheep Counted.\n# TYPE sheep counter\nsheep_total{of=\"a\"} 3\n\
                    # HELP build The program.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n\
                    # HELP wait_seconds Waited.\n# TYPE wait_seconds histogram\n# UNIT wait_seconds seconds\n\
                    wait_seconds_sum 1.0\n# TYPE odd unknown\nodd 1\n# EOF\n";
        let text = "# HELP sheep_total Counted.\n# TYPE sheep_total counter\nsheep_total{of=\"a\"} 3\n\
                    # HELP build_info The program.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n\
                    # HELP wait_seconds Waited.\n# TYPE wait_seconds histogram\nwait_seconds_sum 1.0\n\
                    # TYPE odd untyped\nodd 1\n";
        assert_eq!(Text.write(open.to_owned()), text);
        assert_eq!(OpenMetrics.write(open.to_owned()), open);
    }
}
