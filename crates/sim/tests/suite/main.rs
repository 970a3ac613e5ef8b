//! Worlds from a seed: no law is broken, and what is planted is found.

mod calls;
mod faults;
mod predicted;
mod runs;
mod tables;
