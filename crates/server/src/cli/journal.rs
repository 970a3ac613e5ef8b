//! stub
use super::*;
#[derive(Debug, Subcommand)]
/// x
pub enum Command {
    /// show
    Show,
}
pub fn run(_c: &Common, _x: &Command) -> Result<(), Failure> {
    Ok(())
}
