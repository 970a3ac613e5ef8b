//! The `maskline` binary; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    maskline_server::cli::main()
}
