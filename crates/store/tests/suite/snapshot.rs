//! Which snapshots count, and which are kept.

use maskline_domain::{PhoneNumber, Row, State, Trunk, TrunkName};
use maskline_journal::Compression as _;
use maskline_journal::batch::Hash;
use maskline_journal::payload::READER;
use maskline_journal::snapshot::{Parts, Seal, digest, read_rows, write_rows};
use maskline_store::db::sql;
use maskline_store::snapshot::{self, SnapshotError};
use maskline_store::{UNSEALED, Zstd};

use sha2::{Digest as _, Sha256};

use crate::support::{Store, store};

/// A trunk of which everything is said, as the release before domains and media networks wrote it into
/// snapshots, and the same as JSON.
const LINK_ROW: &str = "0b07636172726965720e3139322e302e322e313a3530363100020200c00002020120010db80000000000000000000000\
    02010b7369702e6578616d706c650007ac02011e0105011e0401f20701eb9cb7050100020180e4c6a0f8020102010104\
    70636d610101010100c6336401c4270100c633640201046c696e650301020301047468656d0104010b7369702e657861\
    6d706c65d804";
const LINK_JSON: &str = r#"{"name":"carrier","peer":"192.0.2.1:5061","enabled":false,"transport":"tls",
    "sources":["192.0.2.2","2001:db8::2"],"tls_name":"sip.example","outgoing":false,"priority":7,
    "weight":300,"calls_max":30,"calls_per_s_max":5,"options_every_s":30,"number_out":"zero",
    "home_area":"010","home_prefixes":["1390571"],"identity_in":"rpid","trusted":false,
    "identity_out":"ppi","pilot":"01000000000","diverted_by_pilot":true,"privacy":"id",
    "diversion":"refuse","codecs":["pcma"],"without_g711":"refuse","prompts":"answer","nat":true,
    "sip_advertised":"198.51.100.1:5060","rtp_advertised":"198.51.100.2",
    "auth":{"username":"line","sealed_secret":[1,2,3]},"challenge":{"username":"them",
    "sealed_secret":[4]},"register":{"registrar":"sip.example","expires_s":600}}"#;

fn rows(count: u64) -> impl Iterator<Item = Row> {
    (0..count).map(|n| Row::Import {
        name: format!("row {n} {}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into(),
        rows: n,
    })
}

async fn write(store: &mut Store, seq: u64, count: u64) -> Seal {
    let mut parts = Parts::new(UNSEALED.clone(), seq);
    let mut written = 0;
    for row in rows(count) {
        if let Some(part) = parts.push(row).expect("not sealed") {
            put(store, seq, &mut written, &part).await;
        }
    }
    let total = parts.finish().expect("not sealed");
    if let Some(part) = &total.part {
        put(store, seq, &mut written, part).await;
    }
    assert_eq!(total.digest, digest(rows(count)));
    let seal = Seal {
        seq,
        at: 0,
        hash: Hash::GENESIS.to_string(),
        parts: written,
        rows: total.rows,
        bindings: total.bindings,
        digest: total.kept_digest.0.to_string(),
        digest_key: total.kept_digest.1.map(|id| id.0),
        writer: "test".into(),
        oldest_reader: 2,
    };
    snapshot::write_seal(&mut store.conn, &seal)
        .await
        .expect("SQL");
    seal
}

async fn put(store: &mut Store, seq: u64, written: &mut u64, part: &[u8]) {
    assert!(part.len() <= 1 << 20, "a part holds up the next append");
    snapshot::write_part(&mut store.conn, seq, *written, part)
        .await
        .expect("SQL");
    *written += 1;
}

async fn load(store: &mut Store, seal: &Seal) -> Result<Vec<Row>, SnapshotError> {
    let mut rows = Vec::new();
    snapshot::load(&mut store.conn, &UNSEALED, seal, |part| rows.extend(part)).await?;
    Ok(rows)
}

#[tokio::test]
async fn a_snapshot_of_many_parts_reads_as_written() {
    let mut store = store().await;
    let seal = write(&mut store, 7, 50_000).await;
    assert!(seal.parts > 1);
    let found = snapshot::list(&mut store.conn).await.expect("SQL");
    assert_eq!(found, [(7, Some(seal.clone()))]);
    assert!(
        load(&mut store, &seal)
            .await
            .expect("whole")
            .into_iter()
            .eq(rows(50_000))
    );
}

#[tokio::test]
async fn an_empty_state_has_a_snapshot_too() {
    let mut store = store().await;
    let seal = write(&mut store, 1, 0).await;
    assert_eq!(load(&mut store, &seal).await.expect("whole"), []);
}

#[tokio::test]
async fn without_its_last_row_a_snapshot_does_not_count() {
    let mut store = store().await;
    write(&mut store, 7, 50_000).await;
    snapshot::drop_parts(&mut store.conn, 7, 1)
        .await
        .expect("SQL");
    let found = snapshot::list(&mut store.conn).await.expect("SQL");
    assert_eq!(found, [(7, None)]);
}

#[tokio::test]
async fn a_missing_or_broken_part_is_noticed() {
    for change in [
        "DELETE FROM snapshot WHERE part = 0",
        "UPDATE snapshot SET payload = substr(payload, 1, 100) WHERE part = 0",
        "UPDATE snapshot SET payload = x'' WHERE part = 0",
        "UPDATE snapshot SET payload = (SELECT payload FROM snapshot WHERE part = 1) WHERE part = 2",
    ] {
        let mut store = store().await;
        let seal = write(&mut store, 7, 50_000).await;
        assert!(seal.parts > 3);
        store.conn.execute(sql(change)).await.expect("SQL");
        assert!(load(&mut store, &seal).await.is_err(), "{change}");
    }
}

#[tokio::test]
async fn a_form_of_the_future_is_named() {
    let mut store = store().await;
    let seal = write(&mut store, 7, 10).await;
    store
        .conn
        .execute(sql("UPDATE snapshot SET payload = x'63' WHERE part = 0"))
        .await
        .expect("SQL");
    assert!(matches!(
        load(&mut store, &seal).await,
        Err(SnapshotError::Form { seq: 7, form: 0x63 })
    ));
}

#[tokio::test]
async fn two_whole_snapshots_are_kept() {
    let mut store = store().await;
    for seq in [1, 3, 5, 7] {
        write(&mut store, seq, 10).await;
    }
    for unsealed in [4, 6, 8] {
        snapshot::write_part(&mut store.conn, unsealed, 0, b"x")
            .await
            .expect("SQL");
    }
    let found = snapshot::list(&mut store.conn).await.expect("SQL");
    assert_eq!(
        maskline_journal::snapshot::superfluous(&found, Some(8)),
        [6, 4, 3, 1]
    );
    assert_eq!(
        maskline_journal::snapshot::superfluous(&found, None),
        [8, 6, 4, 3, 1]
    );
}

/// The same rows as a program before version 2 sealed them: kinds by their places, no names.
async fn write_form_1(store: &mut Store, rows: &[u8], count: u64) -> Seal {
    let mut part = vec![1, b'R'];
    Zstd.compress(rows, &mut part);
    snapshot::write_part(&mut store.conn, 7, 0, &part)
        .await
        .expect("SQL");
    let digest: [u8; 32] = Sha256::digest(rows).into();
    let seal = Seal {
        seq: 7,
        at: 0,
        hash: Hash::GENESIS.to_string(),
        parts: 1,
        rows: count,
        bindings: 0,
        digest: Hash(digest).to_string(),
        digest_key: None,
        writer: "0.1.0".into(),
        oldest_reader: 0,
    };
    snapshot::write_seal(&mut store.conn, &seal)
        .await
        .expect("SQL");
    seal
}

#[tokio::test]
async fn a_snapshot_of_form_1_is_checked_by_its_bytes_and_gives_rows_of_today() {
    // The seventh kind of row, its name, its peer, its switch; then one of the second form of trunks.
    let first: Vec<u8> = [&[6, 5][..], b"plain", &[14], b"192.0.2.1:5060", &[0]].concat();
    let second = hex::decode(LINK_ROW).expect("hexadecimal");
    let mut store = store().await;
    let bytes = [first, second].concat();
    let seal = write_form_1(&mut store, &bytes, 2).await;
    let plain = Trunk {
        enabled: false,
        ..Trunk::new(TrunkName::new("plain"), "192.0.2.1:5060")
    };
    let link: Trunk = serde_json::from_str(LINK_JSON).expect("a trunk");
    let expected = [Row::from(plain), Row::from(link)];
    assert_eq!(load(&mut store, &seal).await.expect("whole"), expected);

    let seal = Seal {
        digest: Hash::GENESIS.to_string(),
        digest_key: None,
        ..seal
    };
    let loaded = load(&mut store, &seal).await;
    assert!(matches!(loaded, Err(SnapshotError::Digest { seq: 7 })));
}

#[tokio::test]
async fn whatever_is_said_of_a_trunk_survives_a_snapshot() {
    let link: Trunk = serde_json::from_str(LINK_JSON).expect("a trunk");
    let trunks = [
        Trunk::new(TrunkName::new("carrier"), "sip.carrier.example"),
        Trunk {
            domain: Some("ims.example".into()),
            ..link.clone()
        },
        Trunk {
            media_networks: vec!["2001:db8::/32".parse().expect("a network")],
            ..link.clone()
        },
        Trunk {
            presents: vec!["unicom".into(), "FC12345".into()],
            routes: vec![PhoneNumber::parse("0571").expect("digits")],
            ..link.clone()
        },
        link,
    ];
    for trunk in trunks {
        let mut state = State::default();
        state.restore(Row::from(trunk.clone()));
        let bytes = write_rows(state.rows());
        let mut again = State::default();
        for row in read_rows(&bytes).expect("rows") {
            again.restore(row);
        }
        assert_eq!(again.trunks().collect::<Vec<_>>(), [&trunk]);
        assert_eq!(digest(again.rows()), digest(state.rows()));
    }
}

#[tokio::test]
async fn rows_of_a_newer_program_are_not_read_in_part() {
    let mut store = store().await;
    let seal = write(&mut store, 7, 10).await;
    // Rows and batches are of the same program, so they are read up to the same one.
    for (oldest_reader, is_read) in [(READER, true), (READER + 1, false), (99, false)] {
        let seal = Seal {
            oldest_reader,
            ..seal.clone()
        };
        let loaded = load(&mut store, &seal).await;
        let is_too_new = matches!(loaded, Err(SnapshotError::TooNew { seq: 7, .. }));
        assert_eq!((loaded.is_ok(), is_too_new), (is_read, !is_read));
    }
}
