//! How numbers look on a trunk's wire. Inside they are national: a mobile bare, a landline with the 0
//! of its area code, a service number bare, a foreign number with 00.

use serde::{Deserialize, Serialize};

use crate::number::{Form, PhoneNumber};

/// How numbers are written towards a trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum NumberForm {
    /// As we keep them: `13800000000`, `057100000000`, `4000000000`.
    #[default]
    #[serde(rename = "bare")]
    Bare,
    /// `+8613800000000`, `+8657100000000`, `+864000000000`.
    #[serde(rename = "+86")]
    Plus,
    /// `8613800000000`, `8657100000000`; service numbers bare, since `8695…` looks like a landline.
    #[serde(rename = "86")]
    CountryCode,
    /// `008613800000000`, `008657100000000`, `00864000000000`.
    #[serde(rename = "0086")]
    International,
    /// As we keep them, with a 0 before mobiles that are not at home: `013800000000`.
    #[serde(rename = "zero")]
    Zero,
}

impl NumberForm {
    /// Writes a number. What has no place in the numbering plan, such as 110, is written as it is.
    pub fn write(self, number: PhoneNumber, home_prefixes: &[PhoneNumber]) -> String {
        let digits = number.reveal();
        let form = number.form();
        if form == Form::Other {
            return match (self, digits.strip_prefix("00")) {
                (Self::Plus, Some(foreign)) if !foreign.is_empty() => format!("+{foreign}"),
                _ => digits,
            };
        }
        // An area code loses its 0 behind a country code.
        let significant = digits.strip_prefix('0').unwrap_or(&digits);
        match self {
            Self::Plus => format!("+86{significant}"),
            Self::International => format!("0086{significant}"),
            Self::CountryCode if form != Form::Service => format!("86{significant}"),
            Self::Zero if form == Form::Mobile => {
                let at_home = home_prefixes.iter().any(|&home| number.starts_with(home));
                if at_home {
                    digits
                } else {
                    format!("0{digits}")
                }
            }
            Self::Bare | Self::CountryCode | Self::Zero => digits,
        }
    }
}

/// Reads a number in whatever form it comes: `+86`, `0086`, `86`, the 0 before a mobile of another
/// city, a landline that lost its 0 or, if the area is known, its area code. `text` is digits with
/// perhaps a `+` in front. None for what is no number.
pub fn read(text: &str, home_area: Option<PhoneNumber>) -> Option<PhoneNumber> {
    let abroad = text.strip_prefix('+').or_else(|| text.strip_prefix("00"));
    if let Some(digits) = abroad {
        return match digits.strip_prefix("86") {
            Some(significant) => national(significant),
            // Behind the country code of another land.
            None if digits.is_empty() => None,
            None => PhoneNumber::parse(&format!("00{digits}")).ok(),
        };
    }
    let number = PhoneNumber::parse(text).ok()?;
    if number.is_party() {
        return Some(number);
    }
    let readings = [
        // 86, where what follows can only be a number with its area, as no area code is 086…; a short
        // 8695… may be a landline.
        text.strip_prefix("86")
            .filter(|rest| rest.len() >= 9)
            .and_then(national),
        // 0 before a mobile.
        text.strip_prefix('0')
            .and_then(|rest| PhoneNumber::parse(rest).ok()),
        // Without the 0 of its area.
        PhoneNumber::parse(&format!("0{text}"))
            .ok()
            .filter(|landline| landline.form() == Form::Landline),
        // Without its area.
        home_area
            .filter(|_| matches!(text.len(), 7 | 8) && !text.starts_with('0'))
            .and_then(|area| PhoneNumber::parse(&format!("{}{text}", area.reveal())).ok()),
    ];
    let party = readings
        .into_iter()
        .flatten()
        .find(|reading| reading.is_party());
    Some(party.unwrap_or(number))
}

/// What stands behind our country code.
fn national(significant: &str) -> Option<PhoneNumber> {
    let number = PhoneNumber::parse(significant).ok()?;
    if number.is_party() {
        return Some(number);
    }
    let with = PhoneNumber::parse(&format!("0{significant}")).ok();
    let without = significant
        .strip_prefix('0')
        .and_then(|rest| PhoneNumber::parse(rest).ok());
    let party = [with, without]
        .into_iter()
        .flatten()
        .find(|reading| reading.is_party());
    // 110 behind +86 is 110.
    Some(party.unwrap_or(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::parse(text).expect("digits")
    }

    #[test]
    fn every_spelling_is_read_into_the_national_form() {
        let home = Some(number("0571"));
        let rows: [(&str, Option<PhoneNumber>, Option<&str>); 37] = [
            // Mobiles.
            ("13800000000", None, Some("13800000000")),
            ("+8613800000000", None, Some("13800000000")),
            ("008613800000000", None, Some("13800000000")),
            ("8613800000000", None, Some("13800000000")),
            ("013800000000", None, Some("13800000000")),
            ("+86013800000000", None, Some("13800000000")),
            // Landlines.
            ("057188888888", None, Some("057188888888")),
            ("+8657188888888", None, Some("057188888888")),
            ("008657188888888", None, Some("057188888888")),
            ("8657188888888", None, Some("057188888888")),
            ("+86057188888888", None, Some("057188888888")),
            ("57188888888", None, Some("057188888888")),
            ("7917777777", None, Some("07917777777")),
            ("1088888888", None, Some("01088888888")),
            ("2188888888", None, Some("02188888888")),
            ("+861088888888", None, Some("01088888888")),
            ("88888888", None, Some("88888888")),
            ("88888888", home, Some("057188888888")),
            ("8888888", home, Some("05718888888")),
            // Service numbers.
            ("95001", None, Some("95001")),
            ("95001", home, Some("95001")),
            ("95012345", home, Some("95012345")),
            ("+8695001", None, Some("95001")),
            ("008695001", None, Some("95001")),
            ("8695001", None, Some("8695001")),
            ("8695001", home, Some("05718695001")),
            ("4001234567", None, Some("4001234567")),
            ("+864001234567", None, Some("4001234567")),
            ("864001234567", None, Some("4001234567")),
            // Short numbers, and those of other countries.
            ("110", home, Some("110")),
            ("+86110", None, Some("110")),
            ("8610", None, Some("8610")),
            ("+85200000000", None, Some("0085200000000")),
            ("0085200000000", None, Some("0085200000000")),
            // What is no number.
            ("", None, None),
            ("+", None, None),
            ("1234567890123456789", None, None),
        ];
        for (wire, home, kept) in rows {
            let read = read(wire, home).map(PhoneNumber::reveal);
            assert_eq!(read.as_deref(), kept, "{wire}");
        }
        for wire in [
            "*21#",
            "1380000000a",
            "+86",
            "00",
            "++8613800000000",
            "１３８",
        ] {
            assert_eq!(read(wire, home), None, "{wire}");
        }
    }

    #[test]
    fn each_form_writes_numbers_in_its_way() {
        use NumberForm::{Bare, CountryCode, International, Plus, Zero};
        let rows = [
            (Bare, "13800000000", "13800000000"),
            (Bare, "057188888888", "057188888888"),
            (Plus, "13800000000", "+8613800000000"),
            (Plus, "057188888888", "+8657188888888"),
            (Plus, "4001234567", "+864001234567"),
            (Plus, "95001", "+8695001"),
            (Plus, "0085200000000", "+85200000000"),
            (Plus, "110", "110"),
            (CountryCode, "13800000000", "8613800000000"),
            (CountryCode, "01088888888", "861088888888"),
            (CountryCode, "95001", "95001"),
            (International, "13800000000", "008613800000000"),
            (International, "057188888888", "008657188888888"),
            (International, "0085200000000", "0085200000000"),
            (Zero, "13800000000", "013800000000"),
            (Zero, "13905710000", "13905710000"),
            (Zero, "057188888888", "057188888888"),
            (Zero, "95001", "95001"),
        ];
        for (form, kept, wire) in rows {
            let written = form.write(number(kept), &[number("1390571")]);
            assert_eq!(written, wire, "{form:?} {kept}");
        }
    }

    #[test]
    fn what_one_form_writes_is_read_as_the_same_number() {
        use NumberForm::{Bare, CountryCode, International, Plus, Zero};
        for form in [Bare, Plus, CountryCode, International, Zero] {
            for digits in [
                "13800000000",
                "19900000000",
                "01088888888",
                "0107777777",
                "02188888888",
                "057188888888",
                "07917777777",
                "95001",
                "95012345",
                "4001234567",
                "8001234567",
                "0085200000000",
            ] {
                for home in [None, Some(number("0571"))] {
                    let wire = form.write(number(digits), &[]);
                    assert_eq!(read(&wire, home), Some(number(digits)), "{form:?} {wire}");
                }
            }
        }
    }
}
