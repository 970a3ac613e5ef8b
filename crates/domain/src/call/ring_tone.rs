//! Which ring tone of ours a caller hears.

use crate::routing::Route;
use crate::{Pool, ToneCode};

/// The binding's tone for this caller; where that is not there, the pool's; where that is not there
/// either, none: then the callee's network is heard, or the caller's own telephone rings.
pub fn tone(
    route: &Route,
    pool: Option<&Pool>,
    is_there: impl Fn(ToneCode) -> bool,
) -> Option<ToneCode> {
    let (binding, scene) = route.scene()?;
    let config = binding.extras.ring_config.as_ref();
    let of_binding = config.and_then(|config| config.tones(binding.product).of(scene));
    let of_pool = pool.and_then(|pool| pool.ring_tones.of(scene));
    [of_binding, of_pool]
        .into_iter()
        .flatten()
        .find(|code| is_there(*code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::Extras;
    use crate::product::Role;
    use crate::routing::Connection;
    use crate::{
        AccountId, Binding, PhoneNumber, PoolKey, Product, RingConfig, RingTones, SubsId, Timestamp,
    };

    fn rings(config: Option<&str>) -> Route {
        let number = |digits| PhoneNumber::parse(digits).expect("digits");
        let binding = Binding {
            extras: Extras {
                ring_config: config.map(|text| RingConfig::parse(text).expect("a configuration")),
                ..Extras::default()
            },
            ..Binding::new(
                SubsId(1),
                Product::Axn,
                number("17000000001"),
                number("13900000000"),
                Timestamp(0)..Timestamp(i64::MAX),
            )
        };
        Route::Connect(Box::new(Connection {
            callee: binding.a,
            binding,
            holder: None,
            pool: PoolKey::new("FC1"),
            caller_role: Role::Other,
            ring_timeout_s: 60,
        }))
    }

    #[test]
    fn a_bindings_tone_beats_the_pools_and_a_missing_one_falls_back() {
        let code = |text| ToneCode::parse(text);
        let mut pool = Pool::new(PoolKey::new("FC1"), AccountId::new("acme"), Product::Axn);
        pool.ring_tones = RingTones {
            other: code("7"),
            ..RingTones::default()
        };
        let there = [code("1"), code("7")];
        let heard = |config| {
            let route = rings(config);
            tone(&route, Some(&pool), |it| there.contains(&Some(it)))
        };
        assert_eq!(heard(Some(r#"{"AXNRing_N":"1"}"#)), code("1"));
        assert_eq!(heard(Some(r#"{"AXNRing_N":"2"}"#)), code("7"), "no file");
        assert_eq!(heard(Some(r#"{"AXNRing_AB":"1"}"#)), code("7"), "not A");
        assert_eq!(heard(None), code("7"));
        let bad = rings(Some(r#"{"AXNRing_N":"2"}"#));
        assert_eq!(tone(&bad, None, |it| Some(it) == code("1")), None);
    }
}
