//! A mounted folder with a certificate that somebody else makes.
//!
//! In: its files, read every ten seconds. Out: what is shown and, where the folder has it, what clients must trust: the
//! authorities, and for a while those before, because replicas see a new set of files at different times.
//! Never: a file watch: kubelet exchanges the folder behind a symbolic link, which the watches of files do not see.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use certs::Pair;
use runtime::clock;

use super::OLM;
use super::shown::{self, Shown};

const PERIOD: Duration = Duration::from_secs(10);
/// How long authorities are trusted that are no longer in the folder: kubelet brings a new set of files to all replicas
/// within some 90 s.
const OVERLAP: Duration = Duration::from_mins(10);
/// How long other authorities are published before what they signed is shown.
const HEAD_START: Duration = Duration::from_secs(3);
/// Where kubelet keeps the set of files that belong together (Kubernetes, `AtomicWriter`).
const SET: &str = "..data";

/// Where the files are, and what they are called.
pub struct Folder {
    path: PathBuf,
    certificate: &'static str,
    key: &'static str,
    /// What clients must trust; not looked for where somebody else tells them.
    authorities: Option<&'static str>,
    /// The name that the certificate has to be for; any, where it is not known.
    name: Option<String>,
}

/// What is in it.
#[derive(Clone, PartialEq, Eq)]
struct Content {
    pair: Pair,
    authorities: Option<String>,
}

/// The authorities of the folder, the present ones first, and since when the others are not there any more.
#[derive(Default)]
struct Trusted(Vec<(String, Option<Instant>)>);

impl Trusted {
    /// Notes what is in the folder now; returns whether that is something else than before.
    fn take(&mut self, now: Option<&str>, at: Instant) -> bool {
        self.0.retain(|(_, gone)| gone.is_none_or(|gone| at.duration_since(gone) < OVERLAP));
        let changed = self.0.iter().find(|(_, gone)| gone.is_none()).map(|(pem, _)| pem.as_str()) != now;
        if changed {
            self.0.retain(|(pem, _)| Some(pem.as_str()) != now);
            self.0.iter_mut().for_each(|(_, gone)| *gone = gone.or(Some(at)));
            self.0.splice(0..0, now.map(|pem| (pem.to_owned(), None)));
        }
        changed
    }

    /// What clients must trust.
    fn bundle(&self) -> Option<String> {
        // Without any in the folder somebody else tells clients.
        self.0.first().filter(|(_, gone)| gone.is_none())?;
        Some(self.0.iter().flat_map(|(pem, _)| [pem.trim_end(), "\n"]).collect())
    }
}

impl Folder {
    /// One that an administrator mounts, as from a Secret of cert-manager.
    pub fn mounted(path: &Path, name: &str) -> Self {
        let (certificate, key) = ("tls.crt", "tls.key");
        Self {
            path: path.to_owned(),
            certificate,
            key,
            authorities: Some("ca.crt"),
            name: Some(name.to_owned()),
        }
    }

    /// One that OLM mounts. Its Service is named after the Deployment, which is not known here.
    pub fn of_olm(path: &Path) -> Self {
        let known = OLM.iter().find(|(_, certificate, _)| path.join(certificate).is_file());
        let (certificate, key) =
            known.map_or(("tls.crt", "tls.key"), |(_, certificate, key)| (*certificate, *key));
        Self { path: path.to_owned(), certificate, key, authorities: None, name: None }
    }

    /// Shows what is in it, for ever.
    pub async fn poll(self, mut shown: Shown) {
        let (mut last, mut trusted) = (None, Trusted::default());
        loop {
            last = Some(self.look(&mut shown, &mut trusted, last.take()).await);
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Returns what was found, so that the next look has something to compare. What is refused because of the time is
    /// looked at each time.
    async fn look(
        &self,
        shown: &mut Shown,
        trusted: &mut Trusted,
        last: Option<Result<Content, String>>,
    ) -> Result<Content, String> {
        let found = self.read().await.map_err(|error| error.to_string());
        match &found {
            Err(words) => {
                if last.is_none_or(|last| last.as_ref().err() != Some(words)) {
                    shown.refuse("NotFound", &format!("{}: {words}", self.path.display()));
                }
            }
            Ok(content) => {
                let now = SystemTime::from(clock::now());
                match certs::serviceable(&content.pair, self.name.as_deref(), now) {
                    Ok(ends) => {
                        let others = trusted.take(content.authorities.as_deref(), Instant::now());
                        shown.publish(trusted.bundle(), content.authorities.as_deref());
                        if others && shown.is_shown() {
                            tokio::time::sleep(HEAD_START).await;
                        }
                        shown.load(&content.pair, ends);
                    }
                    Err(why) if last.as_ref() != Some(&found) => {
                        shown.refuse(shown::reason(why), &format!("{}: {why}", self.path.display()));
                    }
                    Err(_) => {}
                }
            }
        }
        found
    }

    async fn read(&self) -> io::Result<Content> {
        // One look at the link: files of two sets do not belong together.
        let set = tokio::fs::canonicalize(self.path.join(SET)).await;
        let folder = set.unwrap_or_else(|_| self.path.clone());
        let text = async |name: &str| {
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
            tokio::fs::read_to_string(folder.join(name)).await.map_err(named)
        };
        let pair = Pair { certificate: text(self.certificate).await?, key: text(self.key).await? };
        let authorities = match self.authorities {
            Some(name) => text(name).await.ok().filter(|pem| certs::holds(pem, pem)),
            None => None,
        };
        Ok(Content { pair, authorities })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use certs::{Authority, Request};

    use super::*;
    use crate::webhook::tests::shown;

    const NAME: &str = "silverback-webhook.a.svc";

    fn now() -> SystemTime {
        SystemTime::from(clock::now())
    }

    /// A set of files as kubelet lays it out, with the link exchanged at once.
    fn mount(folder: &Path, set: &str, files: &[(&str, &str)]) {
        std::fs::create_dir_all(folder.join(set)).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(set).join(name), text).unwrap();
        }
        let new = folder.join("..data_tmp");
        symlink(set, &new).unwrap();
        std::fs::rename(new, folder.join(SET)).unwrap();
        for (name, _) in files {
            let _ = symlink(Path::new(SET).join(name), folder.join(name));
        }
    }

    #[test]
    fn authorities_before_are_trusted_for_a_while() {
        let mut trusted = Trusted::default();
        let begun = Instant::now();
        assert!(!trusted.take(None, begun) && trusted.bundle().is_none());
        assert!(trusted.take(Some("a"), begun) && !trusted.take(Some("a"), begun));
        assert_eq!(trusted.bundle().unwrap(), "a\n");
        assert!(trusted.take(Some("b"), begun));
        assert_eq!(trusted.bundle().unwrap(), "b\na\n");
        assert!(!trusted.take(Some("b"), begun + OVERLAP / 2));
        assert_eq!(trusted.bundle().unwrap(), "b\na\n");
        assert!(!trusted.take(Some("b"), begun + OVERLAP));
        assert_eq!(trusted.bundle().unwrap(), "b\n");
        assert!(trusted.take(Some("a"), begun + OVERLAP) && trusted.take(None, begun + OVERLAP));
        assert_eq!(trusted.bundle(), None, "somebody else tells clients");
    }

    #[tokio::test]
    async fn a_good_set_is_shown_and_a_bad_one_is_not() {
        let authority = Authority::make("test", now()).unwrap();
        let issue = |name: &str, at| authority.issue(&Request::server([name]), at).unwrap();
        let (first, second) = (issue(NAME, now()), issue(NAME, now()));
        let wildcard = issue("*.a.svc", now());
        let past = issue(NAME, now() - certs::LEAF_LIFE * 2);
        let ca = authority.certificate();
        let mounted = tempfile::tempdir().unwrap();
        let folder = Folder::mounted(mounted.path(), NAME);
        let (mut shown, _) = shown();
        let (leaf, bundle) = (shown.leaf(), shown.bundle());
        let mut last = None;
        for (number, (what, certificate, key, shows)) in [
            ("one to begin with", &first.certificate, &first.key, &first),
            ("another", &second.certificate, &second.key, &second),
            ("a mixed pair", &first.certificate, &second.key, &second),
            ("an old one", &past.certificate, &past.key, &second),
            ("one for another name", &issue("b.a.svc", now()).certificate, &first.key, &second),
            ("no certificate", &"x".to_owned(), &first.key, &second),
            ("one for all names of the namespace", &wildcard.certificate, &wildcard.key, &wildcard),
        ]
        .into_iter()
        .enumerate()
        {
            let files = [("tls.crt", certificate.as_str()), ("tls.key", key.as_str()), ("ca.crt", ca)];
            mount(mounted.path(), &format!("..{number}"), &files);
            last = Some(folder.look(&mut shown, &mut Trusted::default(), last).await);
            assert_eq!(leaf.borrow().as_ref().map(|leaf| &leaf.chain), Some(&shows.certificate), "{what}");
            assert_eq!(bundle.borrow().as_deref(), Some(ca), "{what}");
        }
        std::fs::remove_file(mounted.path().join(SET)).unwrap();
        assert!(folder.look(&mut shown, &mut Trusted::default(), last).await.is_err());
        assert_eq!(
            leaf.borrow().as_ref().map(|leaf| &leaf.chain),
            Some(&wildcard.certificate),
            "nothing mounted"
        );
    }

    #[tokio::test]
    async fn olm_has_names_of_its_own_and_tells_clients_itself() {
        let authority = Authority::make("test", now()).unwrap();
        let pair = authority.issue(&Request::server(["deployment-service.a.svc"]), now()).unwrap();
        let mounted = tempfile::tempdir().unwrap();
        std::fs::write(mounted.path().join("apiserver.crt"), &pair.certificate).unwrap();
        std::fs::write(mounted.path().join("apiserver.key"), &pair.key).unwrap();
        std::fs::write(mounted.path().join("ca.crt"), authority.certificate()).unwrap();
        let (mut shown, _) = shown();
        let found =
            Folder::of_olm(mounted.path()).look(&mut shown, &mut Trusted::default(), None).await.unwrap();
        assert!(found.authorities.is_none() && shown.is_shown() && shown.bundle().borrow().is_none());
    }
}
