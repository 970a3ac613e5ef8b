//! The rules through their public face.

mod bind;
mod call;
mod counts;
mod erase;
mod provisioning;
mod replay;
mod routing;
mod visits;
