//! What operators rely on: the process, the admin API, the documents that describe them.

mod admin;
mod documents;
mod home;
mod process;
mod starting;
