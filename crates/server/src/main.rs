//! The `maskline` binary; everything is in the library.

use std::process::ExitCode;

/// Requests, records and events are many small values made on one thread and
/// dropped on another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    maskline_server::cli::main()
}
