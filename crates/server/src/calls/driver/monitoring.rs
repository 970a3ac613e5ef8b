//! What is shown and logged of calls once a second: counts, the health of trunks and of media threads, SIP from
//! unknown sources, messages that became no call.

use super::{Driver, now};
use maskline_sip::message::phrase;
use maskline_switch::{Input, TrunkChange, TrunkHealth};

impl Driver {
    /// Shows on the handle what goes on, and logs what operators are to know.
    pub(super) fn monitor(&mut self) {
        self.media.tidy();
        self.read_interfaces();
        let counts = self.switch.counts();
        let calls_handle = &self.config.calls_handle;
        let metrics = calls_handle.metrics();
        metrics.set_counts(self.switch.legs(), self.media.ports_lent(), counts);
        metrics.set_streams(self.connections.counts());
        calls_handle.set_trunks(self.trunk_health());
        if let Some((count, latest, asked)) = calls_handle.unknown_sources().to_log(now().wall) {
            tracing::warn!(
                count,
                %latest,
                asked,
                "SIP from addresses of no trunk was refused; `maskline trunk strangers` lists them"
            );
        }
        self.monitor_media();
        self.rejected.log(counts, now().tick_ms);
    }

    /// How the trunks are, with what their names and the connections tell of them.
    fn trunk_health(&self) -> Vec<TrunkHealth> {
        let mut health = self.switch.health(now());
        for trunk in &mut health {
            trunk.trouble = trunk
                .hops
                .iter()
                .find_map(|hop| self.connections.trouble(*hop));
        }
        for (name, why, is_usable) in self.names.troubles() {
            match health.iter_mut().find(|trunk| trunk.name == name.as_str()) {
                Some(trunk) => trunk.trouble = Some(why),
                // It is nowhere, so the switch does not know it.
                None => health.push(TrunkHealth {
                    name: name.to_string(),
                    hops: Vec::new(),
                    reachable: (!is_usable).then_some(false),
                    registration: None,
                    trouble: Some(why),
                }),
            }
        }
        for trunk in &health {
            let before = self.config.calls_handle.trunk(&trunk.name);
            if let Some(why) = &trunk.trouble
                && before.is_none_or(|before| before.trouble != trunk.trouble)
            {
                tracing::warn!(trunk = trunk.name, why, "a trunk is in trouble");
            }
        }
        health
    }

    /// Tells when a media thread is in trouble, and ends the calls of one that is gone.
    fn monitor_media(&mut self) {
        let (threads, calls_handle) = (self.media.threads(), &self.config.calls_handle);
        let before = calls_handle.set_media(threads);
        if before != threads && threads.trouble().is_some() {
            tracing::error!(?threads, "media threads are in trouble");
        }
        if threads.ended > 0 {
            let mut keys = self.switch.keys();
            keys.retain(|key| self.media.is_lost(*key));
            // Those that only ring are ended once they are answered; this is said every second.
            for key in keys {
                self.give(Input::MediaLost(key));
            }
        }
    }
}

pub(super) fn log_trunk_change(trunk: &str, change: TrunkChange) {
    match change {
        TrunkChange::Unreachable => {
            tracing::warn!(trunk, "a trunk is not reachable and is tried last")
        }
        TrunkChange::Reachable(at) => tracing::info!(trunk, %at, "a trunk answers"),
        TrunkChange::ReachableAgain(at) => tracing::info!(trunk, %at, "a trunk answers again"),
        TrunkChange::Elsewhere(at) => {
            tracing::info!(trunk, %at, "a trunk answers at another place")
        }
        TrunkChange::Registered => tracing::info!(trunk, "registered with a trunk"),
        TrunkChange::RegistrationRefused(status) => {
            let why = phrase(status);
            tracing::warn!(trunk, status, why, "a trunk refuses our registration");
        }
        TrunkChange::RegistrarSilent => {
            tracing::warn!(
                trunk,
                "not registered with a trunk: its registrar does not answer"
            );
        }
    }
}
