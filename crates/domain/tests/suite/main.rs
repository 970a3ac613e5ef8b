//! The rules through their public face.

mod bind;
mod call;
mod counts;
mod erase;
mod replay;
mod routing;
mod visits;
