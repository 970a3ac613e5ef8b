//! Why a call ended, in the words of the telephone network (Q.850) and of SIP (RFC 3326, RFC 6432).

/// The Q.850 cause that a SIP status stands for (RFC 3398 section 8.2.6.1); none where the table has none.
pub fn of_status(status: u16) -> Option<u8> {
    Some(match status {
        // In a `Reason`: somebody else has answered; non-selected user clearing.
        200 => 26,
        404 | 485 | 604 => 1,
        486 | 600 => 17,
        480 => 18,
        401 | 402 | 403 | 407 | 603 => 21,
        410 => 22,
        482 | 483 => 25,
        484 => 28,
        502 => 38,
        400 | 481 | 500 | 503 => 41,
        405 => 63,
        406 | 415 | 501 => 79,
        408 | 504 => 102,
        413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => 127,
        _ => return None,
    })
}
