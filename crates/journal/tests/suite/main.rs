//! The journal's forms through their public face.

mod sealed;
