//! Everything that a rotation remembers, as it is stored.
//!
//! In: texts by key, as a Secret holds them. Out: the same texts, and what clients must trust. Never: a text that is
//! refused; what cannot be read is damage, which the next step heals.

use std::time::SystemTime;

use super::View;
use crate::judge::{self, Reason, Verdict};
use crate::request::Pair;

/// The keys of a Secret that are ours, in order.
pub const KEYS: [&str; 7] = [CERTIFICATE, KEY, NEXT, NEXT_KEY, OLD, LEAF, LEAF_KEY];

const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";
const NEXT: &str = "next-ca.crt";
const NEXT_KEY: &str = "next-ca.key";
const OLD: &str = "old-ca.crt";
const LEAF: &str = "tls.crt";
const LEAF_KEY: &str = "tls.key";

/// The pairs of a server and of its authorities, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The authority in use.
    pub authority: Pair,
    /// What the server shows.
    pub leaf: Pair,
    /// The authority that is being published.
    pub next: Option<Pair>,
    /// The certificate of the authority before, while servers may still show a leaf of it.
    pub old: Option<String>,
}

impl State {
    /// What is stored under the [`KEYS`]; what is absent is empty.
    pub fn read(text: impl Fn(&str) -> Option<String>) -> Self {
        let pair = |certificate: &str, key: &str| Pair {
            certificate: text(certificate).unwrap_or_default(),
            key: text(key).unwrap_or_default(),
        };
        let next = pair(NEXT, NEXT_KEY);
        Self {
            authority: pair(CERTIFICATE, KEY),
            leaf: pair(LEAF, LEAF_KEY),
            next: Some(next).filter(|next| !next.certificate.is_empty() || !next.key.is_empty()),
            old: text(OLD).filter(|old| !old.is_empty()),
        }
    }

    /// What is to be stored; keys that are not in it are to go.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let next =
            self.next.as_ref().map(|next| [(NEXT, next.certificate.as_str()), (NEXT_KEY, next.key.as_str())]);
        [
            (CERTIFICATE, self.authority.certificate.as_str()),
            (KEY, self.authority.key.as_str()),
            (LEAF, self.leaf.certificate.as_str()),
            (LEAF_KEY, self.leaf.key.as_str()),
        ]
        .into_iter()
        .chain(next.into_iter().flatten())
        .chain(self.old.as_deref().map(|old| (OLD, old)))
    }

    /// What clients must trust, in PEM. It stays the same, byte by byte, when the next authority takes over.
    pub fn bundle(&self) -> String {
        let next = self.next.as_ref().map(|next| next.certificate.as_str());
        let all = [Some(self.authority.certificate.as_str()), next, self.old.as_deref()];
        let mut all: Vec<_> = all.into_iter().flatten().filter(|pem| judge::ends(pem).is_some()).collect();
        all.sort_unstable();
        all.dedup();
        all.iter().flat_map(|pem| [pem.trim(), "\n"]).collect()
    }

    /// Whether a server may show the leaf: whoever trusts the authority in use takes it.
    pub fn serves(&self, view: &View<'_>) -> bool {
        match judge::judge(&self.leaf, &self.authority.certificate, view.request, view.now) {
            Verdict::Good { .. } => true,
            Verdict::Renew(Reason::Expiring) => self.ends().is_some_and(|ends| ends > view.now),
            Verdict::Renew(_) => false,
        }
    }

    /// When the leaf ends.
    pub fn ends(&self) -> Option<SystemTime> {
        judge::ends(&self.leaf.certificate)
    }

    /// Whether something of it was changed by somebody who does not know what belongs together. That its time is
    /// over, or its names are others by now, is no damage.
    pub fn is_damaged(&self, view: &View<'_>) -> bool {
        let broken = |verdict| {
            use Reason::{KeyMismatch, OtherAuthority, OtherPurpose, Unreadable};
            matches!(verdict, Verdict::Renew(Unreadable | KeyMismatch | OtherAuthority | OtherPurpose))
        };
        let authorities = [Some(&self.authority), self.next.as_ref()];
        let authorities = authorities.into_iter().flatten();
        broken(judge::judge(&self.leaf, &self.authority.certificate, view.request, view.now))
            || authorities.map(|authority| judge::judge_authority(authority, view.now)).any(broken)
            || self.old.as_deref().is_some_and(|old| judge::ends(old).is_none())
    }
}
