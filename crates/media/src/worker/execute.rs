//! What a media thread does when it is told something.

use super::super::bridge::Bridge;
use super::super::commands::Command;
use super::super::player::Player;
use super::super::ports::MediaSockets;
use super::super::recorder::Work;
use super::super::statistics::{Recorded, Statistics, Stopped};
use super::{MediaWorker, REPORT_EVERY_US, RelayedCall, TICK_US, Token};
use crate::Event;
use maskline_domain::call::{CallKey, Side, Sound};
use maskline_sip::relay::Repeat;
use rustix::event::epoll::{self, EventFlags};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::TryRecvError;
use tokio::sync::oneshot;

impl MediaWorker {
    /// Does what it was told. False when it is to end.
    pub(super) fn execute(&mut self) -> bool {
        let mut count = [0; 8];
        // One read takes all wakes; none is there only if somebody else read, and nobody does.
        let _ = rustix::io::read(&self.wake, &mut count);
        // What is told from now on wakes again; what was told before is seen below.
        self.is_woken.swap(false, Ordering::AcqRel);
        loop {
            let command = match self.queue.next() {
                Ok(command) => command,
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            };
            let now_us = self.tools.clock.now_us();
            match command {
                Command::Open(key, sockets, chances) => self.open(key, *sockets, chances, now_us),
                Command::Path(key, path) => {
                    self.with(key, |call| call.bridge.set_path(&path, now_us));
                }
                Command::Allow(key, side, unheard) => {
                    self.with(key, |call| call.bridge.allow(side, unheard));
                }
                Command::Play(key, side, sound, repeat) => {
                    self.play((key, side), sound, repeat, now_us);
                }
                Command::StopPlaying(key, side) => {
                    self.with(key, |call| call.bridge.stop_playing(side));
                }
                Command::Record(key, file) => self.record(key, file, now_us),
                Command::Press(key, side, digit) => {
                    self.with(key, |call| call.bridge.press(side, digit));
                    self.follow(key, now_us);
                }
                Command::Close(key, reply) => self.close(key, reply, now_us),
                Command::LocalMedia(local_media) => {
                    for call in self.calls.iter_mut().flatten() {
                        call.bridge.set_local_media(&local_media);
                    }
                    self.tools.local_media = local_media;
                }
                Command::Stop => return false,
            }
        }
    }

    fn with(&mut self, key: CallKey, change: impl FnOnce(&mut RelayedCall)) {
        let place = self.places.get(&key);
        if let Some(Some(call)) = place.and_then(|place| self.calls.get_mut(*place)) {
            change(call);
        }
    }

    fn open(&mut self, key: CallKey, sockets: [MediaSockets; 2], chances: [u64; 6], now_us: u64) {
        if self.places.contains_key(&key) {
            tracing::error!("a call was given ports twice; it keeps the first ones");
            return;
        }
        let [caller, callee] = sockets;
        let place = self.free.pop().unwrap_or(self.calls.len());
        for (side, sockets) in Side::BOTH.into_iter().zip([&caller, &callee]) {
            for (socket, is_rtcp) in [(&sockets.rtp, false), (&sockets.rtcp, true)] {
                let token = Token {
                    place,
                    side,
                    is_rtcp,
                };
                if let Err(error) = epoll::add(&self.epoll, socket, token.to_data(), EventFlags::IN)
                {
                    tracing::error!(%error, "a media socket cannot be waited for");
                }
            }
        }
        let mut chances = chances.into_iter();
        let silence_max = self.tools.silence_max;
        let shared = (&self.tools.local_media, &self.tools.budget);
        let first_report_us = chances.next().unwrap_or(0) % REPORT_EVERY_US;
        let call = RelayedCall {
            key,
            bridge: Bridge::new(silence_max, shared, now_us, || chances.next().unwrap_or(0)),
            caller,
            callee,
            is_recorded: false,
            refused: None,
            dropped: 0,
            // Not all at once (RFC 3550 section 6.2).
            next_report_us: now_us + first_report_us,
        };
        match self.calls.get_mut(place) {
            Some(free) => *free = Some(call),
            None => self.calls.push(Some(call)),
        }
        self.places.insert(key, place);
    }

    fn play(&mut self, (key, side): (CallKey, Side), sound: Sound, repeat: Repeat, now_us: u64) {
        let library = Arc::clone(&self.tools.library);
        let mut is_heard = false;
        self.with(key, |call| {
            if let Some(law) = call.bridge.law(side) {
                let player = Player::new(library.sound(sound, law), law, repeat);
                is_heard = call.bridge.play(side, player);
            }
        });
        if is_heard {
            self.follow(key, now_us);
        } else if repeat == Repeat::Once {
            self.tell(Event::Played(key, side));
        }
    }

    /// Ticks for this call from now on, if it wants them.
    fn follow(&mut self, key: CallKey, now_us: u64) {
        let Some(place) = self.places.get(&key).copied() else {
            return;
        };
        let Some(Some(call)) = self.calls.get(place) else {
            return;
        };
        if call.bridge.wants_ticks() {
            self.ticking.insert(place);
            self.keep_pace(now_us);
        }
    }

    /// Ticks that nobody needed are not made up for.
    fn keep_pace(&mut self, now_us: u64) {
        if self.next_tick_us + TICK_US < now_us {
            self.next_tick_us = now_us;
        }
    }

    fn record(&mut self, key: CallKey, file: String, now_us: u64) {
        self.keep_pace(now_us);
        let has_recorder = self.tools.recorder.is_some();
        let mut begin = None;
        self.with(key, |call| {
            if call.is_recorded {
                return;
            }
            let law = call.bridge.law(Side::Caller);
            let why = match law {
                None => Stopped::Codec,
                Some(_) if !has_recorder => Stopped::Failed,
                Some(law) => {
                    call.is_recorded = true;
                    begin = Some(Work::Begin {
                        key,
                        file,
                        law,
                        at_us: now_us,
                    });
                    return;
                }
            };
            call.refused = Some(Recorded {
                file,
                stopped: Some(why),
                ..Recorded::default()
            });
        });
        if let Some(begin) = begin {
            self.recording += 1;
            self.work.push_back(begin);
            self.hand_over();
        }
    }

    fn close(&mut self, key: CallKey, reply: oneshot::Sender<Statistics>, now_us: u64) {
        let Some(place) = self.places.remove(&key) else {
            return;
        };
        let Some(call) = self.calls.get_mut(place).and_then(Option::take) else {
            return;
        };
        self.free.push(place);
        self.ticking.remove(&place);
        let statistics = Statistics {
            caller: call.bridge.received(Side::Caller),
            callee: call.bridge.received(Side::Callee),
            recording: call.refused,
        };
        // Who hears that it is over may count on the ports.
        for sockets in [call.caller, call.callee] {
            for socket in [&sockets.rtp, &sockets.rtcp] {
                // It is there, or could not be waited for.
                let _ = epoll::delete(&self.epoll, socket);
            }
            sockets.give_back();
        }
        if !call.is_recorded {
            // Who does not wait any more does not want it.
            let _ = reply.send(statistics);
            return;
        }
        self.recording -= 1;
        let batch = std::mem::take(&mut self.batch);
        self.work.push_back(Work::Sound(batch));
        self.work.push_back(Work::End {
            key,
            at_us: now_us,
            dropped: call.dropped,
            statistics: Box::new(statistics),
            reply,
        });
        self.hand_over();
    }
}
