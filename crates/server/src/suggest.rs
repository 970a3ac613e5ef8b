//! "Did you mean …?": the known word that is nearest to one that is not known. Settings, documents,
//! files of numbers and filters all tell a wrong word so.

/// The known word nearest to `wrong`; `None` when none is near enough to be meant. Small and capital
/// letters, `-` and `_` count alike.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let wrong = plain(wrong);
    let allowed = (wrong.chars().count() / 3).max(1);
    let distance = |word: &str| {
        let word = plain(word);
        let is_start = wrong.len() >= 4 && word.starts_with(&wrong)
            || word.len() >= 4 && wrong.starts_with(&word);
        match is_start {
            true => 1,
            false => strsim::damerau_levenshtein(&wrong, &word),
        }
    };
    known
        .into_iter()
        .map(|word| (distance(word), word))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `; did you mean WORD?`, or nothing.
pub fn hint<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wrong, known).map_or_else(String::new, |word| format!("; did you mean {word}?"))
}

/// The words that may stand here, and the one that may have been meant.
pub fn among(wrong: &str, known: &[&str]) -> String {
    let hint = hint(wrong, known.iter().copied());
    format!("`{wrong}` is none of {}{hint}", known.join(", "))
}

/// A reader's own message with the suggestion that follows from it: such messages name the wrong word
/// first and then, each in backticks, those that were expected.
pub fn with_hint(message: &str) -> String {
    let message = message.trim();
    let mut words = message.split('`').skip(1).step_by(2);
    match words.next() {
        Some(wrong) if message.starts_with("unknown ") => {
            format!("{message}{}", hint(wrong, words))
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let known = [
            "listen",
            "idle_timeout_s",
            "body_max_bytes",
            "pcma",
            "BindAxn",
        ];
        for (wrong, meant) in [
            ("lisen", Some("listen")),
            ("idle_timeout", Some("idle_timeout_s")),
            ("idle-timeout-ms", Some("idle_timeout_s")),
            ("pcmaa", Some("pcma")),
            ("bindaxm", Some("BindAxn")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(wrong, known), meant, "{wrong}");
        }
    }

    #[test]
    fn a_readers_message_is_completed() {
        for (message, told) in [
            (
                "unknown field `lisen`, expected one of `listen`, `https`",
                "unknown field `lisen`, expected one of `listen`, `https`; did you mean listen?",
            ),
            (
                "unknown variant `axnn`, expected `axn` or `axb`",
                "unknown variant `axnn`, expected `axn` or `axb`; did you mean axn?",
            ),
            (
                "invalid type: integer `3`, expected a string",
                "invalid type: integer `3`, expected a string",
            ),
        ] {
            assert_eq!(with_hint(message), told);
        }
    }
}
