//! Which calls are taken before anything is looked up for them.

use maskline_domain::call::CallLimit;
use maskline_domain::call::admission::{Arrival, NotTaken, Standing, admit};
use maskline_domain::trunk::{Diversion, Load};
use maskline_domain::{Trunk, TrunkName};
use maskline_fixtures::domain::number;

/// A call that is taken by a trunk that may have two calls at once, and may be sent one in a second.
fn arrival() -> Arrival {
    Arrival {
        is_draining: false,
        calls: 9,
        calls_max: 10,
        load: Load {
            calls: 1,
            begun_last_s: 0,
        },
        is_forwarded: false,
        x: Some(number("17000000001")),
    }
}

#[test]
fn a_call_is_taken_unless_something_stands_against_it_the_first_of_which_counts() {
    let with_calls = |calls, begun_last_s| Arrival {
        load: Load {
            calls,
            begun_last_s,
        },
        ..arrival()
    };
    let no_number = |arrival| Arrival { x: None, ..arrival };
    let forwarded = |arrival| Arrival {
        is_forwarded: true,
        ..arrival
    };
    let full = |arrival| Arrival {
        calls: 10,
        ..arrival
    };
    let draining = Arrival {
        is_draining: true,
        ..arrival()
    };
    use Diversion::{Ignore, Refuse};
    type Row = (Diversion, Arrival, Option<(NotTaken, u16, u8)>);
    let overload = Some((NotTaken::Overload, 503, 42));
    let trunk_full = Some((NotTaken::TrunkFull, 503, 42));
    let refused = Some((NotTaken::Forwarded, 403, 21));
    let none = Some((NotTaken::NoNumber, 404, 1));
    let rows: [Row; 14] = [
        (Ignore, arrival(), None),
        (Refuse, arrival(), None),
        (Ignore, with_calls(0, 0), None),
        // What it is sent in a second says nothing of what it sends.
        (Ignore, with_calls(1, 5), None),
        (Ignore, with_calls(2, 0), trunk_full),
        (Ignore, forwarded(arrival()), None),
        (Refuse, forwarded(arrival()), refused),
        (Ignore, no_number(arrival()), none),
        (Ignore, full(arrival()), overload),
        (Ignore, draining, overload),
        // The first counts.
        (Refuse, full(forwarded(with_calls(2, 0))), overload),
        (Refuse, forwarded(with_calls(2, 0)), trunk_full),
        (Refuse, no_number(forwarded(arrival())), refused),
        (Ignore, no_number(with_calls(2, 0)), trunk_full),
    ];
    for (row, (diversion, arrival, expected)) in rows.into_iter().enumerate() {
        let trunk = Trunk {
            diversion,
            calls_max: Some(2),
            calls_per_s_max: Some(1),
            ..Trunk::new(TrunkName::new("t"), "192.0.2.1:5060")
        };
        let taken = admit(&trunk, arrival);
        assert_eq!(
            taken.ok(),
            expected.is_none().then_some(number("17000000001")),
            "row {row}"
        );
        let why = taken
            .err()
            .map(|why| (why, why.ending().status, why.ending().q850));
        assert_eq!(why, expected, "row {row}");
    }
}

#[test]
fn a_bound_is_broken_by_the_first_call_beyond_it_that_of_x_first() {
    use CallLimit::{Caller, X};
    // Calls on X and of its caller, with this one; three and two may stand.
    let rows = [
        (1, 1, None),
        (3, 1, None),
        (4, 1, Some(X)),
        (9, 1, Some(X)),
        (1, 2, None),
        (1, 3, Some(Caller)),
        (3, 3, Some(Caller)),
        (4, 3, Some(X)),
        // Who does not say who it is has no bound of its own.
        (3, 0, None),
        (4, 0, Some(X)),
    ];
    let most = Standing {
        on_x: 3,
        by_caller: 2,
    };
    for (on_x, by_caller, expected) in rows {
        let standing = Standing { on_x, by_caller };
        let broken = CallLimit::broken(standing, most);
        assert_eq!(broken, expected, "{on_x} on X, {by_caller} by the caller");
    }
}
