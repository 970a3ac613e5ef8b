//! The parameters of a request: query string and form body read as one list.
//!
//! Official clients put business parameters in the query, in the form body, or common ones here and
//! business ones there; all of them are signed together. So both places are decoded into one list
//! which keeps every pair, duplicates and empty values too, exactly as the signature needs them.

use std::fmt;

/// Bounds of the parameters of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Longest query string and form body together, in bytes as sent.
    pub bytes_max: usize,
    /// Most pairs.
    pub count_max: usize,
    /// Longest decoded name, in bytes.
    pub name_bytes_max: usize,
    /// Longest decoded value, in bytes.
    pub value_bytes_max: usize,
}

impl Bounds {
    /// So many bytes in all, and the usual rest: 256 pairs, names of 128 bytes, values of 32 KiB.
    pub const fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            count_max: 256,
            name_bytes_max: 128,
            value_bytes_max: 32 * 1024,
        }
    }
}

/// Why a query string or form body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// A percent sign without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("a parameter is not percent-encoded UTF-8")]
    Malformed,
    /// Query and body together are longer than [`Bounds::bytes_max`].
    #[error("query and body are too long")]
    TooLong,
    /// More pairs than [`Bounds::count_max`].
    #[error("too many parameters")]
    TooMany,
    /// A name longer than [`Bounds::name_bytes_max`].
    #[error("a parameter name is too long")]
    NameTooLong,
    /// A value longer than [`Bounds::value_bytes_max`].
    #[error("a parameter value is too long")]
    ValueTooLong,
}

/// One decoded pair.
#[derive(Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The name as sent.
    pub name: String,
    /// The value as sent; may be empty.
    pub value: String,
}

/// All pairs of a request, those of the query first, in the order they came.
///
/// Values may be phone numbers or signatures, so `Debug` shows names only.
#[derive(Clone, Default)]
pub struct Parameters {
    pairs: Vec<Parameter>,
    /// How many of `pairs` came in the query string.
    in_query: usize,
}

impl Parameters {
    /// Reads a query string and a form body (empty when there is none).
    ///
    /// # Errors
    ///
    /// [`ParametersError`] when a pair is malformed or a bound is passed.
    pub fn parse(query: &[u8], body: &[u8], bounds: &Bounds) -> Result<Self, ParametersError> {
        if query.len().saturating_add(body.len()) > bounds.bytes_max {
            return Err(ParametersError::TooLong);
        }
        let mut pairs = Vec::with_capacity(24);
        read_pairs(query, bounds, &mut pairs)?;
        let in_query = pairs.len();
        read_pairs(body, bounds, &mut pairs)?;
        Ok(Self { pairs, in_query })
    }

    /// The value under `name`: an exact match first, else one that differs in letter case only.
    ///
    /// `@alicloud/pop-core` upper-cases the first letter of every name (`trackNo` becomes
    /// `TrackNo`), hence the second try. Of several equal names the first counts.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).map(|pair| pair.value.as_str())
    }

    /// As [`Parameters::get`], with an empty value counting as absent.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The pair that [`Parameters::get`] answers from.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Parameter> {
        self.pairs
            .iter()
            .find(|pair| pair.name == name)
            .or_else(|| {
                self.pairs
                    .iter()
                    .find(|pair| pair.name.eq_ignore_ascii_case(name))
            })
    }

    /// Every pair, query first.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.pairs.iter()
    }

    /// The pairs of the query string alone.
    #[must_use]
    pub fn of_query(&self) -> &[Parameter] {
        &self.pairs[..self.in_query]
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.pairs.iter().map(|pair| &pair.name))
            .finish()
    }
}

fn read_pairs(
    text: &[u8],
    bounds: &Bounds,
    pairs: &mut Vec<Parameter>,
) -> Result<(), ParametersError> {
    for piece in text.split(|byte| *byte == b'&') {
        if piece.is_empty() {
            continue;
        }
        if pairs.len() == bounds.count_max {
            return Err(ParametersError::TooMany);
        }
        let (name, value) = match piece.iter().position(|byte| *byte == b'=') {
            Some(at) => (&piece[..at], &piece[at + 1..]),
            None => (piece, &[][..]),
        };
        let (name, value) = (decode(name)?, decode(value)?);
        if name.len() > bounds.name_bytes_max {
            return Err(ParametersError::NameTooLong);
        }
        if value.len() > bounds.value_bytes_max {
            return Err(ParametersError::ValueTooLong);
        }
        pairs.push(Parameter { name, value });
    }
    Ok(())
}

/// Form decoding: `%XX` is a byte, `+` a space. Stricter than the usual libraries, which pass a
/// broken escape through as text: here it is the caller's error and is told as one.
fn decode(text: &[u8]) -> Result<String, ParametersError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let [high, low, tail @ ..] = rest else {
                    return Err(ParametersError::Malformed);
                };
                let (high, low) = (hex_digit(*high)?, hex_digit(*low)?);
                bytes.push(high << 4 | low);
                rest = tail;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| ParametersError::Malformed)
}

fn hex_digit(byte: u8) -> Result<u8, ParametersError> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(ParametersError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str, body: &str) -> Result<Parameters, ParametersError> {
        Parameters::parse(query.as_bytes(), body.as_bytes(), &Bounds::new(64 * 1024))
    }

    #[test]
    fn query_and_body_are_one_list() {
        let parameters = parse("Action=BindAxn&SignatureType=", "PhoneNoA=15000000000").unwrap();
        assert_eq!(parameters.get("Action"), Some("BindAxn"));
        assert_eq!(parameters.get("PhoneNoA"), Some("15000000000"));
        assert_eq!(parameters.get("SignatureType"), Some(""));
        assert_eq!(parameters.filled("SignatureType"), None);
        assert_eq!(parameters.get("PhoneNoB"), None);
        assert_eq!(parameters.of_query().len(), 2);
        assert_eq!(parameters.iter().count(), 3);
    }

    #[test]
    fn plus_and_percent_are_decoded() {
        let parameters = parse(
            "OutId=a+b%2A~%2B%2F%3D%26%27%28%29%21&ExpectCity=%e5%8C%97%E4%BA%AC",
            "",
        )
        .unwrap();
        assert_eq!(parameters.get("OutId"), Some("a b*~+/=&'()!"));
        assert_eq!(parameters.get("ExpectCity"), Some("北京"));
    }

    #[test]
    fn exact_name_wins_over_another_case() {
        let parameters = parse("TRACKNO=1&TrackNo=2&trackNo=3", "").unwrap();
        assert_eq!(parameters.get("trackNo"), Some("3"));
        assert_eq!(parameters.get("tracKNo"), Some("1"));
    }

    #[test]
    fn first_of_equal_names_counts_and_all_stay() {
        let parameters = parse("OutId=1", "OutId=2&OutId=3").unwrap();
        assert_eq!(parameters.get("OutId"), Some("1"));
        assert_eq!(parameters.iter().count(), 3);
    }

    #[test]
    fn odd_pairs_are_kept() {
        let parameters = parse("&&OutId&=x&a=b=c&", "").unwrap();
        assert_eq!(parameters.get("OutId"), Some(""));
        assert_eq!(parameters.get(""), Some("x"));
        assert_eq!(parameters.get("a"), Some("b=c"));
        assert_eq!(parameters.iter().count(), 3);
    }

    #[test]
    fn broken_escapes_and_foreign_bytes_are_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "%=1", "a=%+1", "a=%ff", "a=%E5%8C"] {
            assert_eq!(
                parse(text, "").unwrap_err(),
                ParametersError::Malformed,
                "{text}"
            );
            assert_eq!(
                parse("", text).unwrap_err(),
                ParametersError::Malformed,
                "{text}"
            );
        }
    }

    #[test]
    fn bounds_hold_exactly() {
        let bounds = Bounds {
            bytes_max: 20,
            count_max: 3,
            name_bytes_max: 2,
            value_bytes_max: 4,
        };
        let parse = |query: &str, body: &str| {
            Parameters::parse(query.as_bytes(), body.as_bytes(), &bounds).map(|p| p.iter().count())
        };
        assert_eq!(parse("a=1&b=2&c=3", ""), Ok(3));
        assert_eq!(parse("a=1&b=2&c=3", "d=4"), Err(ParametersError::TooMany));
        assert_eq!(parse("ab=1234", ""), Ok(1));
        assert_eq!(parse("abc=1", ""), Err(ParametersError::NameTooLong));
        assert_eq!(parse("a=12345", ""), Err(ParametersError::ValueTooLong));
        assert_eq!(parse("a=%31%32%33%34", ""), Ok(1));
        assert_eq!(parse("&&&&&&&&&&", "&&&&&&&&&&"), Ok(0));
        assert_eq!(
            parse("&&&&&&&&&&", "&&&&&&&&&&&"),
            Err(ParametersError::TooLong)
        );
    }

    proptest::proptest! {
        /// What a client encodes is what is read, whatever it is and wherever it stands.
        #[test]
        fn encoded_pairs_come_back(pairs: Vec<(String, String)>, in_query: usize) {
            let bounds = Bounds {
                bytes_max: usize::MAX,
                count_max: usize::MAX,
                name_bytes_max: usize::MAX,
                value_bytes_max: usize::MAX,
            };
            let encode = crate::api::signature::encode;
            let texts: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
                .collect();
            let (query, body) = texts.split_at(in_query % (texts.len() + 1));
            let (query, body) = (query.join("&"), body.join("&"));
            let read = Parameters::parse(query.as_bytes(), body.as_bytes(), &bounds).unwrap();
            let read: Vec<(String, String)> =
                read.iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect();
            proptest::prop_assert_eq!(read, pairs);
        }

        /// Any bytes are read or refused, and never more than the bounds allow.
        #[test]
        fn any_bytes_are_read_or_refused(query: Vec<u8>, body: Vec<u8>) {
            if let Ok(read) = Parameters::parse(&query, &body, &Bounds::new(64 * 1024)) {
                proptest::prop_assert!(read.of_query().len() <= read.iter().count());
            }
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let parameters = parse("PhoneNoA=15000000000", "").unwrap();
        assert_eq!(format!("{parameters:?}"), r#"{"PhoneNoA"}"#);
    }
}
