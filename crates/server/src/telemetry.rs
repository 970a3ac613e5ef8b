//! What a process tells about itself: logs on standard error, metrics for Prometheus, and whether it
//! is alive and ready.
//!
//! None of them carries a secret or a whole phone number: numbers and secrets have types that show
//! themselves masked, and a metric's labels come from closed lists.

mod exposition;
mod health;
mod kept;
mod log;
mod log_limit;
mod metrics;
mod process;
mod routes;

pub use health::Readiness;
pub use log::{LogHandle, init_log};
pub use log_limit::{LogLimit, SharedLogLimit};
pub use metrics::Metrics;
pub use routes::router;
