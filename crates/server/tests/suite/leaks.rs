//! The leak gate: whatever two parties do, nothing of one reaches the other.
//!
//! Two questions are asked of everything that the switch sends. Does it hold a secret of the other side, in
//! any disguise ([`scanner`])? And does a single byte of it, or its time, change when only what is hidden
//! of the other side changes ([`interference`])? [`plants`] sees to it that both would notice.

mod interference;
mod matrix;
mod media;
mod parties;
mod phone;
mod plants;
mod scanner;
mod world;
