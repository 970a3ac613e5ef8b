//! The rules through their public face.

mod bind;
mod call;
mod common;
mod replay;
mod routing;
