//! `maskline status`.

use super::{Client, Failure, show};

pub fn run(client: &Client) -> Result<(), Failure> {
    show::fields(client, &client.get("/v1/status")?)
}
