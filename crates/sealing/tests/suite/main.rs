//! Sealing through its public face.

use maskline_sealing::{
    BLOCK, DataKey, DataKeyId, FixedKey, Kind, Nonces, OVERHEAD, OpenError, Place, Sealing as _,
    USES_MAX, Uses,
};

const ID: DataKeyId = DataKeyId(0x0102_0304);
const TEXT: &[u8] = b"13800001234 and a text that is longer than a block";

fn key() -> DataKey {
    DataKey::new(ID, &[5; 32])
}

fn place() -> Place {
    Place::column("journal.personal").number(9)
}

fn sealed(nonces: &mut Nonces, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    key().seal(nonces.draw(), &place(), plain, &mut out);
    out
}

#[test]
fn a_value_opens_in_its_place() {
    let mut nonces = Nonces::new(&[1; 32]);
    for plain in [b"".as_slice(), b"1", TEXT, &[7; 100_000]] {
        let sealed = sealed(&mut nonces, plain);
        assert_eq!(sealed.len(), plain.len() + OVERHEAD);
        assert_eq!(DataKey::id_of(&sealed), Ok(ID));
        assert_eq!(key().open(&place(), &sealed).as_deref(), Ok(plain));
    }
}

#[test]
fn the_bytes_before_a_sealed_value_stay() {
    let mut out = vec![3];
    key().seal([0; 12], &place(), TEXT, &mut out);
    assert_eq!(out[0], 3);
    assert_eq!(key().open(&place(), &out[1..]).as_deref(), Ok(TEXT));
}

#[test]
fn every_changed_byte_and_every_cut_is_noticed() {
    let sealed = sealed(&mut Nonces::new(&[1; 32]), TEXT);
    for at in 0..sealed.len() {
        for bit in [1, 128] {
            let mut changed = sealed.clone();
            changed[at] ^= bit;
            assert!(key().open(&place(), &changed).is_err(), "byte {at}");
        }
        assert!(key().open(&place(), &sealed[..at]).is_err(), "cut at {at}");
    }
    let mut longer = sealed;
    longer.push(0);
    assert!(key().open(&place(), &longer).is_err());
}

#[test]
fn a_value_of_another_place_does_not_open() {
    let sealed = sealed(&mut Nonces::new(&[1; 32]), TEXT);
    let others = [
        Place::column("journal.personal").number(10),
        Place::column("journal.personal"),
        Place::column("snapshot.payload").number(9),
        Place::column("journal.personal").number(9).number(0),
        Place::column("journal.personal").text("9"),
    ];
    for other in others {
        assert_eq!(
            key().open(&other, &sealed),
            Err(OpenError::NotAuthentic(ID))
        );
    }
}

#[test]
fn texts_of_a_place_do_not_run_into_each_other() {
    let two = |a: &str, b: &str| Place::column("call_record.sealed").text(a).text(b);
    assert_ne!(two("ab", "c"), two("a", "bc"));
    assert_ne!(two("a", ""), two("", "a"));
}

#[test]
fn another_key_or_another_number_does_not_open() {
    let sealed = sealed(&mut Nonces::new(&[1; 32]), TEXT);
    let wrong = DataKey::new(ID, &[6; 32]);
    assert_eq!(
        wrong.open(&place(), &sealed),
        Err(OpenError::NotAuthentic(ID))
    );
    let other = DataKey::new(DataKeyId(8), &[5; 32]);
    assert_eq!(other.open(&place(), &sealed), Err(OpenError::NoKey(ID)));
}

#[test]
fn two_values_of_one_text_share_no_eight_bytes_behind_the_key_id() {
    let mut nonces = Nonces::new(&[1; 32]);
    let values: Vec<Vec<u8>> = (0..200).map(|_| sealed(&mut nonces, TEXT)).collect();
    let mut seen = std::collections::BTreeSet::new();
    for value in &values {
        for eight in value[4..].windows(8) {
            assert!(seen.insert(eight.to_vec()));
        }
    }
}

#[test]
fn nonces_do_not_come_twice_and_those_of_another_seed_are_others() {
    let (mut ours, mut others) = (Nonces::new(&[1; 32]), Nonces::new(&[2; 32]));
    let all = (0..10_000).flat_map(|_| [ours.draw(), others.draw()]);
    let distinct: std::collections::BTreeSet<_> = all.collect();
    assert_eq!(distinct.len(), 20_000);
}

#[test]
fn a_digest_depends_on_key_purpose_and_bytes() {
    let purpose = |name| Place::column(name);
    let digest = key().mac(&purpose("digest"), b"abc");
    assert_eq!(digest, key().mac(&purpose("digest"), b"abc"));
    assert_ne!(digest, key().mac(&purpose("index"), b"abc"));
    assert_ne!(digest, key().mac(&purpose("digest"), b"abd"));
    assert_ne!(digest, key().mac(&purpose("diges"), b"tabc"));
    let other = DataKey::new(ID, &[6; 32]);
    assert_ne!(digest, other.mac(&purpose("digest"), b"abc"));
}

#[test]
fn uses_are_promised_ahead_and_a_start_goes_on_behind_them() {
    let mut uses = Uses::behind(0);
    assert!(!uses.take(), "none is promised");
    assert_eq!(uses.wanted(), Some(BLOCK));
    uses.promise(BLOCK);
    assert!(uses.take());
    assert_eq!((uses.wanted(), uses.promised()), (None, BLOCK));
    for _ in 0..BLOCK / 2 {
        assert!(uses.take());
    }
    assert_eq!(uses.wanted(), Some(2 * BLOCK));
    assert!(!uses.is_ending());
    let mut after = Uses::behind(uses.promised());
    assert!(!after.take(), "what was promised before is not used again");
}

#[test]
fn a_key_seals_no_more_than_it_may() {
    let mut uses = Uses::behind(USES_MAX - 2);
    assert!(uses.is_ending());
    assert_eq!(uses.wanted(), Some(USES_MAX));
    uses.promise(USES_MAX + BLOCK);
    assert_eq!(uses.promised(), USES_MAX);
    assert!(uses.take() && uses.take());
    assert!(!uses.take());
    assert_eq!(uses.wanted(), None);
}

#[test]
fn what_shows_a_key_shows_its_number_alone() {
    assert_eq!(format!("{:?}", key()), "DataKey(DataKeyId(16909060))");
    assert_eq!(format!("{:?}", Nonces::new(&[9; 32])), "Nonces { .. }");
    assert_eq!(Kind::ALL.map(|kind| Kind::parse(kind.name())), {
        Kind::ALL.map(Some)
    });
}

#[test]
fn the_fixed_key_can_be_played_again() {
    let seal = |plain: &[u8]| {
        let mut out = Vec::new();
        let key = FixedKey::default();
        key.seal(&place(), plain, &mut out).expect("no bound");
        out
    };
    assert_eq!(seal(b"abc"), seal(b"abc"));
    assert_ne!(seal(b"abc")[4..16], seal(b"abd")[4..16]);
    assert_eq!(
        FixedKey::default().open(&place(), &seal(TEXT)).as_deref(),
        Ok(TEXT)
    );
}
