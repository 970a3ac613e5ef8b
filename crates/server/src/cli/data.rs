//! stub
use super::*;
#[derive(Debug, clap::Args)]
pub struct Backup {}
#[derive(Debug, clap::Args)]
pub struct Restore {}
#[derive(Debug, clap::Args)]
pub struct Check {}
#[derive(Debug, clap::Args)]
pub struct Erase {}
pub fn backup(_c: &Common, _x: &Backup) -> Result<(), Failure> {
    Ok(())
}
pub fn restore(_c: &Common, _x: &Restore) -> Result<(), Failure> {
    Ok(())
}
pub fn check(_c: &Common, _x: &Check) -> Result<(), Failure> {
    Ok(())
}
pub fn erase(_c: &Client, _x: &Erase) -> Result<(), Failure> {
    Ok(())
}
