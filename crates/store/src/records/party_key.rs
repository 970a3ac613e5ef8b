//! The key by which the rows of a person are found.

use maskline_domain::PhoneNumber;

/// The key of a person's number in the columns `…_key` of the records: equal for equal numbers, and
/// opaque to everybody else, so that another function can take the place of this one. Of today it is
/// the digits, as migration 6 fills it in too. A number that was erased has none.
pub(crate) fn party_key(number: PhoneNumber) -> Option<Vec<u8>> {
    (!number.is_erased()).then(|| number.reveal().into_bytes())
}

/// The keys of several persons in the columns of one row, each person once: where they stand first.
pub(crate) fn party_keys<const N: usize>(
    numbers: [Option<PhoneNumber>; N],
) -> [Option<Vec<u8>>; N] {
    std::array::from_fn(|place| {
        let is_first = !numbers[..place].contains(&numbers[place]);
        numbers[place].filter(|_| is_first).and_then(party_key)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<PhoneNumber> {
        PhoneNumber::parse(text).ok()
    }

    #[test]
    fn keys_of_different_numbers_differ() {
        let numbers = [
            "1",
            "01",
            "10",
            "001",
            "13900000001",
            "013900000001",
            "95013",
        ];
        let keys: std::collections::BTreeSet<_> = numbers
            .iter()
            .map(|text| party_key(number(text).expect("digits")))
            .collect();
        assert_eq!(keys.len(), numbers.len());
        assert_eq!(party_key(PhoneNumber::ERASED), None);
    }

    #[test]
    fn each_person_has_one_key_in_a_row() {
        let (a, b) = (number("13900000001"), number("13900000002"));
        let key = |number: Option<PhoneNumber>| number.and_then(party_key);
        let rows = [
            ([a, b, a, b], [key(a), key(b), None, None]),
            ([a, a, a, a], [key(a), None, None, None]),
            ([None, a, a, b], [None, key(a), None, key(b)]),
            ([None, None, None, None], [None, None, None, None]),
            ([None, None, b, None], [None, None, key(b), None]),
            (
                [Some(PhoneNumber::ERASED), b, None, a],
                [None, key(b), None, key(a)],
            ),
        ];
        for (numbers, keys) in rows {
            assert_eq!(party_keys(numbers), keys, "{numbers:?}");
        }
    }
}
