//! The rules through their public face.

mod bind;
mod call;
mod replay;
mod routing;
