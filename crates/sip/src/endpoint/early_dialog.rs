//! What is known of the phones that an INVITE of ours rings, before one answers (RFC 3261 section 12.1.2).

use super::dialog::Dialog;
use super::sdp_of;
use super::table::FORKS_MAX;
use crate::message::Message;
use crate::sdp::SDP_BYTES_MAX;

/// Each phone that has said something; several, when a proxy asked several. At most [`FORKS_MAX`].
#[derive(Default)]
pub(super) struct EarlyDialogs(Vec<EarlyDialog>);

pub(super) struct EarlyDialog {
    tag: Box<[u8]>,
    pub dialog: Dialog,
    /// The last reliable response (RFC 3262 section 4).
    pub rseq: Option<u32>,
    /// Whether its answer to our offer came reliably, so that each side may offer anew.
    pub is_agreed: bool,
    /// What it said last of its media, as far as that holds.
    pub sdp: Option<Box<[u8]>>,
}

impl EarlyDialogs {
    pub fn find(&mut self, tag: &[u8]) -> Option<&mut EarlyDialog> {
        self.0.iter_mut().find(|early| *early.tag == *tag)
    }

    /// Whether the phone with this tag and we have agreed, so that either may offer anew.
    pub fn is_agreed(&self, tag: &[u8]) -> bool {
        let mut early_dialogs = self.0.iter();
        early_dialogs.any(|early| *early.tag == *tag && early.is_agreed)
    }

    /// What the phone with this tag says of its media from now on, in an exchange of its own.
    pub fn renew(&mut self, tag: &[u8], sdp: &[u8]) {
        if let Some(early) = self.find(tag) {
            early.sdp = Some(sdp.into());
        }
    }

    pub fn get(&self, tag: &[u8]) -> Option<&EarlyDialog> {
        self.0.iter().find(|early| *early.tag == *tag)
    }

    /// The dialog in which we can say something: one that may be changed, or else the newest.
    pub fn best(&self) -> Option<&Dialog> {
        let agreed = self.0.iter().rfind(|early| early.is_agreed);
        agreed.or(self.0.last()).map(|early| &early.dialog)
    }

    /// Takes over what a provisional response says. `template` is the dialog as far as it is the same for all.
    pub fn learn(&mut self, tag: &[u8], template: &Dialog, response: &Message) {
        let sdp = sdp_of(response).filter(|sdp| sdp.len() <= SDP_BYTES_MAX);
        if let Some(early) = self.find(tag) {
            early.dialog.refresh_target(response);
            // The first reliable answer counts (RFC 3261 section 13.2.1).
            if !early.is_agreed {
                early.sdp = sdp.or(early.sdp.take());
            }
        } else if self.0.len() < FORKS_MAX {
            let mut dialog = template.clone();
            dialog.learn(response);
            self.0.push(EarlyDialog {
                tag: tag.into(),
                dialog,
                rseq: None,
                is_agreed: false,
                sdp,
            });
        }
    }

    /// This phone will not answer any more.
    pub fn forget(&mut self, tag: &[u8]) {
        self.0.retain(|early| *early.tag != *tag);
    }
}
