//! Texts out of files: passwords, so that they do not stand in the list of processes, and certificates.

use std::io::Read;
use std::path::Path;

use super::Failure;

/// The text of a file, or of standard input for `-`, without the ends of lines behind it; at most so many bytes.
pub fn text(file: Option<&Path>, bytes_max: u64) -> Result<Option<String>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().take(bytes_max).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(bytes_max).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_comes_from_a_file_without_its_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "pass word\n").unwrap();
        let read = |bytes_max| text(Some(&file), bytes_max).unwrap();
        assert_eq!(read(64).as_deref(), Some("pass word"));
        assert_eq!(read(4).as_deref(), Some("pass"));
        assert!(text(Some(&dir.path().join("none")), 64).is_err());
    }
}
