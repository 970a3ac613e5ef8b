//! The list of erasures: what a restore does again, and what an erasure that
//! failed left undone. It tells of nobody.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use maskline_store::erasure::{Erasure, Found, LIST, Step};

use super::EraseError;
use crate::clocks;

/// Notes what is about to be erased, durably, before anything is.
pub(super) fn begin(dir: &Path, found: &Found) -> Result<(), EraseError> {
    append(dir, &Erasure::begun(clocks::read().wall.0, found))
}

/// Notes that all that was begun is done.
pub(super) fn finish(dir: &Path) -> Result<(), EraseError> {
    append(dir, &[Erasure::finished(clocks::read().wall.0)])
}

/// What was begun in this data directory and is not done.
pub(super) fn unfinished(dir: &Path) -> Result<Found, EraseError> {
    let path = dir.join(LIST);
    let read = || -> io::Result<Found> {
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::new()),
            Err(error) => return Err(error),
        };
        let mut left = Found::new();
        for line in lines(&text[..whole(&text)])? {
            match line.step {
                Some(Step::Begun) => line.add_to(&mut left),
                Some(Step::Finished) => left.clear(),
                None => {}
            }
        }
        Ok(left)
    };
    read().map_err(|source| EraseError::List {
        path: path.clone(),
        source,
    })
}

/// All that a list names, done or not.
pub(super) fn read(path: &Path) -> Result<Found, EraseError> {
    let read = || -> io::Result<Found> {
        let mut found = Found::new();
        for line in lines(&std::fs::read(path)?)? {
            line.add_to(&mut found);
        }
        Ok(found)
    };
    read().map_err(|source| EraseError::List {
        path: path.to_owned(),
        source,
    })
}

fn lines(text: &[u8]) -> io::Result<Vec<Erasure>> {
    let lines = text.split(|&byte| byte == b'\n');
    lines
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| Ok(serde_json::from_slice(line)?))
        .collect()
}

/// How much of a list is whole. What a full disk or a crash cut off at its end
/// was never begun.
fn whole(text: &[u8]) -> usize {
    let end = text.iter().rposition(|&byte| byte == b'\n');
    let end = end.map_or(0, |end| end + 1);
    match lines(&text[end..]) {
        Ok(_) => text.len(),
        Err(_) => end,
    }
}

fn append(dir: &Path, erasures: &[Erasure]) -> Result<(), EraseError> {
    if erasures.is_empty() {
        return Ok(());
    }
    let path = dir.join(LIST);
    let write = || -> io::Result<()> {
        let mut open = OpenOptions::new();
        let mut file = open.create(true).read(true).append(true).open(&path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = whole(&text);
        if whole < text.len() {
            file.set_len(whole as u64)?;
        }
        let mut added = Vec::new();
        if text[..whole].last().is_some_and(|&last| last != b'\n') {
            added.push(b'\n');
        }
        for erasure in erasures {
            serde_json::to_writer(&mut added, erasure)?;
            added.push(b'\n');
        }
        file.write_all(&added)?;
        file.sync_all()?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|source| EraseError::List {
        path: path.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_domain::SubsId;
    use maskline_store::erasure::Traces;

    fn found(id: u64) -> Found {
        let traces = Traces {
            subjects: [1].into(),
            ..Traces::default()
        };
        Found::from([(SubsId(id), traces)])
    }

    #[test]
    fn what_was_begun_is_left_until_all_is_finished() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let dir = dir.path();
        assert_eq!(unfinished(dir).expect("no list"), Found::new());
        // As an older program wrote it.
        std::fs::write(dir.join(LIST), "{\"at\":1,\"bindings\":[5]}\n").expect("written");
        assert_eq!(unfinished(dir).expect("a list"), Found::new());
        begin(dir, &found(6)).expect("noted");
        begin(dir, &found(7)).expect("noted");
        let both = Found::from_iter(found(6).into_iter().chain(found(7)));
        assert_eq!(unfinished(dir).expect("a list"), both);
        finish(dir).expect("noted");
        assert_eq!(unfinished(dir).expect("a list"), Found::new());
        begin(dir, &Found::from([(SubsId(8), Traces::ALL)])).expect("noted");
        let left = unfinished(dir).expect("a list");
        assert_eq!(left, Found::from([(SubsId(8), Traces::ALL)]), "all of it");
        let all = read(&dir.join(LIST)).expect("a list");
        assert_eq!(all.keys().map(|id| id.0).collect::<Vec<_>>(), [5, 6, 7, 8]);
    }

    #[test]
    fn a_line_that_was_cut_off_does_not_spoil_the_next() {
        for (tail, left) in [
            ("", 1),
            ("{\"at\":1,\"bin", 1),
            ("{", 1),
            ("{\"at\":1,\"bindings\":[5]}", 2),
        ] {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let dir = dir.path();
            begin(dir, &found(6)).expect("noted");
            let path = dir.join(LIST);
            let mut list = std::fs::read(&path).expect("readable");
            list.extend_from_slice(tail.as_bytes());
            std::fs::write(&path, &list).expect("written");
            assert_eq!(unfinished(dir).expect("a list"), found(6), "{tail}");
            begin(dir, &found(7)).expect("noted");
            let all = read(&path).expect("a list");
            assert_eq!(all.len(), left + 1, "{tail}");
        }
    }
}
