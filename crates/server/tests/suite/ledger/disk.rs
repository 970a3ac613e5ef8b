//! A disk that takes no more.

use std::path::Path;
use std::time::Duration;

use maskline_server::ledger::SubmitError;
use tempfile::TempDir;

use super::{bind, found, rows, temporary};
use crate::support::open;

/// A small file system in memory, if this process may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(kilobytes: u32) -> Option<Self> {
        let place = temporary();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(place.path())
            .stderr(std::process::Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(place))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg(self.path())
            .status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_false_is_answered_and_reads_go_on() {
    let Some(disk) = SmallDisk::mount(3_000) else {
        eprintln!("skipped: this process may not mount a file system");
        return;
    };
    let filler = disk.path().join("filler");
    std::fs::write(&filler, vec![1; 1_000_000]).expect("room");
    let data = disk.path().join("data");
    let (ledger, running) = open(&data).await;
    found(&ledger, 4_000).await;
    let mut a = 0;
    let before = loop {
        let before = rows(&ledger).await;
        match ledger.submit(bind(a)).await {
            Ok(_) => a += 1,
            Err(SubmitError::NotDurable) => break before,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(rows(&ledger).await, before, "undone");
    assert!(!ledger.status().takes_commands);
    assert_eq!(ledger.submit(bind(a)).await, Err(SubmitError::NotDurable));

    running.close().await;
    let (ledger, running) = open(&data).await;
    assert_eq!(rows(&ledger).await, before, "a start needs no room");
    assert_eq!(ledger.submit(bind(a)).await, Err(SubmitError::NotDurable));

    std::fs::remove_file(&filler).expect("there");
    let mut tries = 0;
    while let Err(error) = ledger.submit(bind(a)).await {
        assert_eq!(error, SubmitError::NotDurable);
        tries += 1;
        assert!(tries < 100, "never again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = rows(&ledger).await;
    running.close().await;
    let (ledger, running) = open(&data).await;
    assert_eq!(rows(&ledger).await, after);
    running.close().await;
}
