//! Who may open a data directory, and with what settings.

use maskline_store::db::sql;
use maskline_store::directory::{self, DataDir, OpenError};

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
    let mut setting = async |text| store.conn.fetch_one(sql(text)).await.expect("an answer");
    let synchronous = setting("PRAGMA synchronous").await;
    let mode = setting("PRAGMA journal_mode").await;
    let erasing = setting("PRAGMA secure_delete").await;
    assert_eq!(synchronous.get::<i64>("synchronous"), Ok(2));
    assert_eq!(mode.get::<String>("journal_mode"), Ok("wal".to_owned()));
    assert_eq!(erasing.get::<i64>("secure_delete"), Ok(1));
}

#[tokio::test]
async fn readers_cannot_write() {
    let store = store().await;
    let readers = store.owned.readers(2).await.expect("there is a database");
    let mut conn = readers.acquire().await.expect("one is free");
    let insert = sql("INSERT INTO meta (name, value) VALUES ('a', 'b')");
    assert!(conn.execute(insert).await.is_err());
}

#[tokio::test]
async fn a_directory_without_a_database_is_not_made_into_one_by_reading() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    assert!(matches!(
        directory::readers(dir.path(), 1).await,
        Err(OpenError::Missing(_))
    ));
    assert!(!dir.path().join(directory::FILE).exists());
}

#[tokio::test]
async fn opening_again_changes_nothing() {
    let store = store().await;
    drop(store.conn);
    drop(store.owned);
    let owned = DataDir::own(store.dir.path()).expect("free again");
    let mut conn = owned.writer().await.expect("it opens a second time");
    let tables = sql("SELECT COUNT(*) AS tables FROM sqlite_master WHERE type = 'table'");
    let tables = conn.fetch_one(tables).await.expect("a count");
    assert_eq!(tables.get::<i64>("tables"), Ok(11));
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
