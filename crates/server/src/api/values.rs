//! How dates, times and booleans may be written: what `docs/accepted-forms.md` lists.
//!
//! The vendor documents one form for each and reads more; customers' programs rely on some of that.
//! The rule here: a text that can mean one thing only is taken, as common date and boolean readers
//! take it (Java's `SimpleDateFormat`, Spring's converters); one that such a reader would bend into
//! another value (`2099-02-30`, or `yes` read as false) is refused, so that a mistake is seen.

use maskline_domain::Timestamp;
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// A time of a request without its zone and fraction: `yyyy-MM-ddTHH:mm:ss`.
const REQUEST_TIME: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

/// The longest text that can be an `Expiration`, in bytes.
const EXPIRATION_BYTES_MAX: usize = 64;

/// Most digits of a fraction of a second.
const FRACTION_DIGITS_MAX: usize = 9;

const DAY_S: i64 = 24 * 60 * 60;

/// The blanks around a value that are not part of it.
const BLANKS: [char; 2] = [' ', '\t'];

/// An `Expiration`, `yyyy-MM-dd HH:mm:ss` in China time.
///
/// Month, day, hour, minute and second may have one digit; there may be blanks ahead, behind and
/// between; a fraction of a second is cut; `24:00:00` is the end of the day (ISO 8601). Days and
/// times that do not exist, other separators, zones and years of other than four digits are refused.
#[must_use]
pub fn expiration(text: &str) -> Option<Timestamp> {
    if text.len() > EXPIRATION_BYTES_MAX {
        return None;
    }
    let (date, time) = text.trim_matches(BLANKS).split_once(BLANKS)?;
    let time = time.trim_start_matches(BLANKS);
    let time = match time.split_once('.') {
        Some((time, fraction)) => {
            fraction_millis(fraction)?;
            time
        }
        None => time,
    };
    let (year, rest) = date.split_once('-')?;
    if year.len() != 4 {
        return None;
    }
    let (month, day) = rest.split_once('-')?;
    let (hour, rest) = time.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;
    let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(two_digits);
    let (month, day) = (month?, day?);
    let (minute, second) = (minute?, second?);
    let (hour, days) = match (hour?, minute, second) {
        (24, 0, 0) => (0, 1),
        (hour, ..) => (hour, 0),
    };
    let padded = format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    Timestamp::parse_china(&padded).map(|moment| moment.plus_secs(days * DAY_S))
}

/// One or two ASCII digits.
fn two_digits(text: &str) -> Option<u8> {
    let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// The time of a request, `Timestamp` or `x-acs-date`: `yyyy-MM-ddTHH:mm:ssZ` in UTC, its seconds
/// with or without a fraction of up to nine digits, as JavaScript's `toISOString()` and Java's
/// `Instant` write it. What is finer than a millisecond is cut.
#[must_use]
pub fn request_time(text: &str) -> Option<Timestamp> {
    const LENGTH: usize = "2017-05-25T00:00:00".len();
    let (whole, rest) = text.split_at_checked(LENGTH)?;
    let millis = match rest.strip_suffix('Z')? {
        "" => 0,
        fraction => fraction_millis(fraction.strip_prefix('.')?)?,
    };
    let moment = PrimitiveDateTime::parse(whole, REQUEST_TIME).ok()?;
    let moment = Timestamp::from_secs(moment.assume_utc().unix_timestamp());
    Some(moment.plus_millis(millis))
}

/// The milliseconds of the digits behind a decimal point; finer ones are cut.
fn fraction_millis(digits: &str) -> Option<i64> {
    let is_fraction = (1..=FRACTION_DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_fraction {
        return None;
    }
    let digits = digits.bytes().chain(*b"00").take(3);
    Some(digits.fold(0, |millis, digit| millis * 10 + i64::from(digit - b'0')))
}

/// A boolean: `true` or `false` in any case, `1` or `0`, with or without blanks around it.
///
/// Both Python SDKs send `True` and `False`. Words such as `yes` are refused: a reader like
/// `Boolean.parseBoolean` would silently take them for false.
#[must_use]
pub fn flag(text: &str) -> Option<bool> {
    let text = text.trim_matches(BLANKS);
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") || text == "1" {
        Some(true)
    } else if is("false") || text == "0" {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_times_are_utc_to_the_millisecond() {
        let read = |text| request_time(text).map(Timestamp::millis);
        let whole = 1_795_453_296_000;
        for (text, millis) in [
            ("2026-11-23T17:01:36Z", 0),
            ("2026-11-23T17:01:36.0Z", 0),
            ("2026-11-23T17:01:36.5Z", 500),
            ("2026-11-23T17:01:36.05Z", 50),
            ("2026-11-23T17:01:36.123Z", 123),
            ("2026-11-23T17:01:36.1239Z", 123),
            ("2026-11-23T17:01:36.999999999Z", 999),
        ] {
            assert_eq!(read(text), Some(whole + millis), "{text}");
        }
        for text in [
            "",
            "2026-11-23 17:01:36Z",
            "2026-11-23T17:01:36",
            "2026-11-23T17:01:36z",
            "2026-11-23T17:01:36.Z",
            "2026-11-23T17:01:36,1Z",
            "2026-11-23T17:01:36.1",
            "2026-11-23T17:01:36.0000000000Z",
            "2026-11-31T17:01:36Z",
            "2026-11-23T24:01:36Z",
            "2026-11-23T7:01:36Z",
            "2026-11-23T17:01:36+00:00",
            "2026-11-23T17:01:36+",
            "+026-11-23T17:01:36Z",
            "2026-11-23T17:01:3６Z",
            "1795453296",
        ] {
            assert_eq!(request_time(text), None, "{text}");
        }
    }

    proptest::proptest! {
        /// No text makes the readers panic, and what they take they take again when written plainly.
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9 .:TZ+-]{0,40}|\\PC{0,40}") {
            let _ = (request_time(&text), flag(&text));
            if let Some(moment) = expiration(&text) {
                proptest::prop_assert_eq!(expiration(&moment.format_china()), Some(moment));
            }
        }
    }
}
