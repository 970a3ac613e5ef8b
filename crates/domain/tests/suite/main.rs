//! The rules through their public face.

mod bind;
mod bind_forecast;
mod call;
mod counts;
mod erase;
mod provisioning;
mod replay;
mod routing;
mod visits;
