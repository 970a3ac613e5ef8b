//! The test binaries of each crate.

use super::crates::DIRECTIONS;
use super::workspace;
use std::fs;

/// A binary is linked for each file below `tests` and each folder there with a `main.rs`, so a crate has
/// one, with a module for each subject.
#[test]
fn each_crate_has_one_test_binary() {
    for (room, _) in DIRECTIONS {
        let Ok(entries) = fs::read_dir(workspace().join("crates").join(room).join("tests")) else {
            continue;
        };
        let binaries: Vec<_> = entries
            .map(|entry| entry.expect("it can be listed").path())
            .filter(|path| {
                path.extension().is_some_and(|ending| ending == "rs")
                    || path.join("main.rs").exists()
            })
            .filter_map(|path| Some(path.file_name()?.to_owned()))
            .collect();
        assert_eq!(binaries, ["suite"], "{room}");
    }
}
