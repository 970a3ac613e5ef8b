//! A directory whose journal and snapshots are sealed.

use std::path::Path;
use std::sync::Arc;

use maskline_domain::Actor;
use maskline_sealing::{BLOCK, DataKeyId, Kind};
use maskline_server::ledger::{Ledger, Options, Running, StartError, restore};
use maskline_server::seal;
use maskline_store::data_key;
use maskline_store::directory::{self, DataDir};
use maskline_store::keyring::Keyring;
use maskline_store::sealed::{self, Form};
use maskline_store::{check, erasure};

use super::{bound, found, rows, temporary, unbind};
use crate::support::{options, sealer};
use maskline_fixtures::domain::party;

/// Makes the directory with its keys.
async fn make(dir: &Path) {
    let owned = DataDir::own(dir).expect("nobody else has it");
    let mut conn = owned.writer().await.expect("a new database");
    for (id, kind) in (1..).map(DataKeyId).zip(Kind::ALL) {
        let (_, kept) = sealer().new_data_key(id, kind, 5).expect("random bytes");
        data_key::insert(&mut conn, &kept).await.expect("SQL");
    }
    conn.close().await.expect("in order");
}

async fn keyring(dir: &Path) -> Arc<Keyring> {
    let mut conn = directory::copy(dir).await.expect("readable");
    let kept = data_key::list(&mut conn).await.expect("SQL");
    conn.close().await.expect("in order");
    let opened = seal::keyring(&Arc::new(sealer()), &kept, || 7);
    Arc::new(opened.expect("our master key"))
}

async fn keyed(dir: &Path) -> Options {
    options(dir).with_keys(Some(keyring(dir).await))
}

async fn open(dir: &Path) -> (Ledger, Running) {
    Ledger::open(keyed(dir).await).await.expect("it opens")
}

async fn assert_is_whole(dir: &Path) {
    let codec = keyed(dir).await.codec;
    let readers = directory::readers(dir, 1).await.expect("readable");
    let mut conn = readers.acquire().await.expect("a connection");
    let report = check::check(&mut conn, &codec, |_, _| ())
        .await
        .expect("readable");
    assert_eq!(report.problems, Vec::<String>::new());
    assert!(report.state_checked && report.batches > 0);
    let blind = check::check(&mut conn, &maskline_store::UNSEALED, |_, _| ())
        .await
        .expect("readable");
    assert_eq!(blind.problems, Vec::<String>::new());
    assert!(!blind.state_checked && blind.batches == report.batches);
    drop(conn);
    readers.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_directory_starts_again_and_a_person_is_erased_from_it() {
    let dir = temporary();
    make(dir.path()).await;
    let (ledger, running) = open(dir.path()).await;
    found(&ledger, 10).await;
    let person = party(1);
    let ended = bound(&ledger, 1).await;
    bound(&ledger, 2).await;
    ledger.submit(unbind(&ended)).await.expect("unbound");
    let place = temporary();
    let copy = place.path().join("copy");
    let manifest = maskline_store::backup::backup(dir.path(), &copy)
        .await
        .expect("copied");
    assert_eq!(
        (manifest.data_keys, manifest.master_keys.len()),
        (vec![1, 2], 1)
    );
    let by = Actor::Operator {
        name: "user1".into(),
        remark: None,
    };
    // Two snapshots are made of it.
    ledger.erase(by, person).await.expect("erased");
    let before = rows(&ledger).await;
    running.close().await;
    assert_is_whole(dir.path()).await;

    let (ledger, running) = open(dir.path()).await;
    assert_eq!(rows(&ledger).await, before);
    let readers = directory::readers(dir.path(), 1).await.expect("readable");
    let mut conn = readers.acquire().await.expect("a connection");
    let left = erasure::find(&mut conn, ledger.codec(), person).await;
    assert!(left.expect("readable").is_empty());
    let key = DataKeyId(1);
    let journal = sealed::in_journal(&mut conn).await.expect("SQL");
    let forms: Vec<Form> = journal.keys().copied().collect();
    assert_eq!(forms, [Form::Empty, Form::Sealed(key)]);
    let snapshots = sealed::in_snapshots(&mut conn).await.expect("SQL");
    let forms: Vec<Form> = snapshots.keys().copied().collect();
    assert_eq!(forms, [Form::Sealed(key)]);
    // Each start goes on behind what was promised before.
    let kept = data_key::list(&mut conn).await.expect("SQL");
    assert_eq!((kept[0].promised, kept[1].promised), (2 * BLOCK, 0));
    drop(conn);
    readers.close().await;
    running.close().await;

    let restored = place.path().join("restored");
    let list = dir.path().join(erasure::LIST);
    let keys = keyring(&copy).await;
    restore(&copy, options(&restored).with_keys(Some(keys)), Some(&list))
        .await
        .expect("restored");
    assert_is_whole(&restored).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_keys_a_sealed_directory_does_not_start() {
    let dir = temporary();
    make(dir.path()).await;
    let (ledger, running) = open(dir.path()).await;
    found(&ledger, 10).await;
    bound(&ledger, 1).await;
    running.close().await;
    let refused = Ledger::open(options(dir.path())).await.expect_err("sealed");
    assert!(matches!(refused, StartError::Recover(_)));
    let told = refused.to_string();
    assert!(told.contains("data key 1, which is not here"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_seals_before_the_last_use_of_one_is_over() {
    let dir = temporary();
    make(dir.path()).await;
    {
        let owned = DataDir::own(dir.path()).expect("nobody else has it");
        let mut conn = owned.writer().await.expect("it opens");
        let nearly_all = maskline_sealing::USES_MAX - BLOCK / 4;
        data_key::promise(&mut conn, DataKeyId(1), nearly_all)
            .await
            .expect("SQL");
        conn.close().await.expect("in order");
    }
    let (ledger, running) = open(dir.path()).await;
    found(&ledger, 10).await;
    bound(&ledger, 1).await;
    let before = rows(&ledger).await;
    running.close().await;
    let readers = directory::readers(dir.path(), 1).await.expect("readable");
    let mut conn = readers.acquire().await.expect("a connection");
    let journal = sealed::in_journal(&mut conn).await.expect("SQL");
    assert!(
        journal.contains_key(&Form::Sealed(DataKeyId(3))),
        "{journal:?}"
    );
    drop(conn);
    readers.close().await;
    let (ledger, running) = open(dir.path()).await;
    assert_eq!(rows(&ledger).await, before);
    running.close().await;
}
