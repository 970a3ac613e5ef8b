//! Who may open a data directory, and with what settings.

use maskline_store::sqlite::{self, DataDir, OpenError};
use sqlx::{query, query_scalar};

use crate::support::store;

#[tokio::test]
async fn a_directory_has_one_owner() {
    let store = store().await;
    assert!(matches!(
        DataDir::own(store.dir.path()),
        Err(OpenError::Locked(_))
    ));
    drop(store.owned);
    DataDir::own(store.dir.path()).expect("its owner has left");
}

#[tokio::test]
async fn appends_are_synced_to_the_disk() {
    let mut store = store().await;
    let synchronous: i64 = query_scalar("PRAGMA synchronous")
        .fetch_one(&mut store.conn)
        .await
        .expect("a pragma answers");
    let mode: String = query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut store.conn)
        .await
        .expect("a pragma answers");
    let erasing: i64 = query_scalar("PRAGMA secure_delete")
        .fetch_one(&mut store.conn)
        .await
        .expect("a pragma answers");
    assert_eq!((synchronous, mode.as_str(), erasing), (2, "wal", 1));
}

#[tokio::test]
async fn readers_cannot_write() {
    let store = store().await;
    let readers = store.owned.readers(2).await.expect("there is a database");
    let refused = query("INSERT INTO meta (name, value) VALUES ('a', 'b')")
        .execute(&readers)
        .await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_directory_without_a_database_is_not_made_into_one_by_reading() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    assert!(matches!(
        sqlite::readers(dir.path(), 1).await,
        Err(OpenError::Missing(_))
    ));
    assert!(!dir.path().join(sqlite::FILE).exists());
}

#[tokio::test]
async fn opening_again_changes_nothing() {
    let store = store().await;
    drop(store.conn);
    drop(store.owned);
    let owned = DataDir::own(store.dir.path()).expect("free again");
    let mut conn = owned.writer().await.expect("it opens a second time");
    let tables: i64 = query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'")
        .fetch_one(&mut conn)
        .await
        .expect("a count");
    assert_eq!(tables, 8);
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_directory_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().expect("a temporary directory");
    let path = parent.path().join("data");
    let _owned = DataDir::own(&path).expect("it is made");
    let mode = path.metadata().expect("it exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
