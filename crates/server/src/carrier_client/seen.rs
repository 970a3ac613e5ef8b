//! What was seen of a carrier's answer, in words that may stand in a log.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

/// The longest text, in characters.
const CHARACTERS_MAX: usize = 200;
/// So many characters may stand between two digits of one number.
const GAP_MAX: usize = 3;
/// So many digits in a row may be a person's number.
const DIGITS_MIN: usize = 5;

/// What was seen of an answer, for logs and operators: one line, bounded, and without anything that may be a person's
/// number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen(Box<str>);

impl Seen {
    /// A text of ours or of a carrier's, made fit. Digits are masked where 5 and more come in a row, also with
    /// up to three characters between two of them that are neither letters nor digits. An IPv4 address that stands
    /// alone is none, with or without a port, unless its digits are a mobile number.
    pub(crate) fn new(text: &str) -> Self {
        let mut fit = String::new();
        let rest = text.chars().take(CHARACTERS_MAX + 1);
        let mut run = String::new();
        let mut gap = String::new();
        let mut characters = 0;
        let end = |fit: &mut String, run: &mut String, gap: &mut String| {
            let digits = run.chars().filter(|c| c.is_numeric()).count();
            match digits {
                0..DIGITS_MIN => fit.push_str(run),
                _ if is_address(run) => fit.push_str(run),
                _ => fit.push_str("***"),
            }
            run.clear();
            fit.push_str(gap);
            gap.clear();
        };
        for next in rest {
            characters += 1;
            if characters > CHARACTERS_MAX {
                gap.push('…');
                break;
            }
            if next.is_numeric() {
                run.push_str(&gap);
                gap.clear();
                run.push(next);
            } else if !run.is_empty() && gap.chars().count() < GAP_MAX && !next.is_alphanumeric() {
                gap.push(next);
            } else {
                end(&mut fit, &mut run, &mut gap);
                fit.push(if next.is_control() { ' ' } else { next });
            }
        }
        end(&mut fit, &mut run, &mut gap);
        Self(fit.into())
    }

    /// The status of an answer, which is no part of a number behind it, and what was said with it, made fit.
    pub(crate) fn of_status(status: u16, what: &str) -> Self {
        let told = match what {
            "" => format!("status {status}"),
            what => format!("status {status}: {}", Self::new(what)),
        };
        Self(told.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether digits and what is between them are an address and nothing else.
fn is_address(run: &str) -> bool {
    let ip = match run.parse::<SocketAddrV4>() {
        Ok(address) => Some(*address.ip()),
        Err(_) => run.parse::<Ipv4Addr>().ok(),
    };
    ip.is_some_and(|ip| {
        let digits = ip.to_string().replace('.', "");
        let is_mobile = digits.len() == 11 && matches!(digits.as_bytes(), [b'1', b'3'..=b'9', ..]);
        !is_mobile
    })
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_people_are_masked_and_all_else_can_be_read() {
        for (text, fit) in [
            ("no route to 13800138000", "no route to ***"),
            ("13800138000", "***"),
            ("138 0013 8000 is barred", "*** is barred"),
            ("138-0013-8000, 0571 8888-7777", "***"),
            ("(0571)88887777!", "(***!"),
            ("+86 (138) 0013-8000", "+***"),
            ("1234    5678", "1234    5678"),
            ("１３８００１３８０００", "***"),
            ("١٣٨٠٠١٣٨٠٠٠", "***"),
            ("+8613800138000.", "+***."),
            ("a13800b1", "a***b1"),
            (
                "status 503 of 127.0.0.1:8080",
                "status 503 of 127.0.0.1:8080",
            ),
            ("no route to 138.0013.8000", "no route to ***"),
            ("138.00138000", "***"),
            ("138:0013:8000 and 138|0013|8000", "*** and ***"),
            ("138+0013+8000; 138；0013；8000", "***"),
            ("138\u{200b}0013\u{202f}8000\u{2212}1\t2", "***"),
            ("138.100.138.10 is no address", "*** is no address"),
            ("1.3800.138.000", "***"),
            ("138．0013．8000", "***"),
            ("138·0013·8000", "***"),
            ("138.001.380.00.1", "***"),
            ("138.001.380 00", "***"),
            ("0571.8888.7777, 10.0.0.1", "***"),
            ("10.0.0.1, 13800138000", "***"),
            (
                "from 192.168.100.200 port 80",
                "from 192.168.100.200 port 80",
            ),
            ("10.0.0.1: 138.0013.8000", "***"),
            ("took 12.5 ms", "took 12.5 ms"),
            ("version 2.11.3.", "version 2.11.3."),
            ("at 1788.134400", "at ***"),
            ("code 1234 (56)", "code ***)"),
            ("code 1234", "code 1234"),
            ("1 2", "1 2"),
            ("12 - 34", "12 - 34"),
            ("12 - 345", "***"),
            ("ends 1234 ", "ends 1234 "),
            ("两\nlines\u{1b}[1m", "两 lines [1m"),
            ("", ""),
        ] {
            assert_eq!(Seen::new(text).as_str(), fit, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_a_number_at_the_cut_is_masked() {
        let long = "x".repeat(500);
        let fit = Seen::new(&long);
        assert_eq!(fit.as_str().chars().count(), CHARACTERS_MAX + 1);
        let at_the_cut = format!("{}13800138000", "x".repeat(CHARACTERS_MAX - 7));
        assert!(Seen::new(&at_the_cut).as_str().ends_with("x***…"));
    }
}
