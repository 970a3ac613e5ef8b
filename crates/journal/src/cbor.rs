//! CBOR (RFC 8949), in which what is kept for ever is written: by names, so that a field can be added.

use cbor4ii::core::dec::Read as _;
use cbor4ii::core::types::Array;
use cbor4ii::core::utils::{BufWriter, SliceReader};
use cbor4ii::serde::Deserializer;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Appends a value. A structure is a map from the names of its fields.
pub fn append(bytes: Vec<u8>, value: &impl Serialize) -> Vec<u8> {
    cbor4ii::serde::to_vec(bytes, value).expect("plain values in memory always serialise")
}

/// Appends the head of an array; so many values must follow.
pub fn begin_array(bytes: Vec<u8>, values: usize) -> Vec<u8> {
    let mut writer = BufWriter::new(bytes);
    Array::bounded(values, &mut writer).expect("memory takes what is written");
    writer.into_inner()
}

/// The one value that these bytes are; none if they are none, more than one, or another than is wanted.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let mut reader = Deserializer::new(SliceReader::new(bytes));
    let value = T::deserialize(&mut reader).ok()?;
    let mut rest = reader.into_inner();
    let is_all = rest.fill(1).is_ok_and(|rest| rest.as_ref().is_empty());
    is_all.then_some(value)
}

/// The values that stand one after the other in these bytes; none if not all of them are such.
pub fn read_all<T: DeserializeOwned>(bytes: &[u8]) -> Option<Vec<T>> {
    let mut values = Vec::new();
    let mut reader = Deserializer::new(SliceReader::new(bytes));
    loop {
        let mut rest = reader.into_inner();
        if rest.fill(1).is_ok_and(|rest| rest.as_ref().is_empty()) {
            return Some(values);
        }
        reader = Deserializer::new(rest);
        values.push(T::deserialize(&mut reader).ok()?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Old {
        kept: u8,
    }

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct New {
        kept: u8,
        #[serde(default)]
        added: Option<String>,
    }

    #[test]
    fn a_field_is_added_without_a_new_form() {
        let old = append(Vec::new(), &Old { kept: 7 });
        let (kept, added) = (7, None);
        assert_eq!(read(&old), Some(New { kept, added }));
        let added = Some("more".to_owned());
        let new = append(Vec::new(), &New { kept, added });
        assert_eq!(read(&new), Some(Old { kept }));
    }

    #[test]
    fn only_one_whole_value_is_read() {
        let one = append(Vec::new(), &Old { kept: 7 });
        assert_eq!(read::<Old>(&one[..one.len() - 1]), None);
        let two = append(one, &Old { kept: 8 });
        assert_eq!(read::<Old>(&two), None);
        assert_eq!(read::<Old>(&[]), None);
    }
}
