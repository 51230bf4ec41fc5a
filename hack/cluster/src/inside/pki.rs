//! The certificates and keys of a box.
//!
//! In: a directory. Out: PEM files in it: an authority for the cluster and one for aggregated APIs,
//! what they sign, and the key of service account tokens. Valid for a year from yesterday; a box lives
//! for minutes. Never reads a file.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use crate::address;
use crate::options::Families;

/// An authority, and the directory where what it signs goes.
pub(crate) struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, PEM.
    pub(crate) certificate: String,
}

/// A certificate and its key, PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Makes everything that the components read from files; the cluster's authority, to sign more.
pub(crate) fn make(dir: &Path, nodes: std::ops::RangeInclusive<u8>, families: Families) -> Result<Authority> {
    fs::create_dir_all(dir)?;
    let authority = Authority::new(dir, "ca", "box")?;
    authority.server("apiserver", "kube-apiserver", &api_names(families))?;
    for node in nodes {
        let user = format!("system:node:{}", address::node_name(node));
        let mut names = vec![address::node_name(node)];
        names.extend(families.list().iter().map(|family| family.node(node).to_string()));
        authority.server(&format!("kubelet-{node}"), &user, &names)?;
    }
    authority.client_files("apiserver-kubelet", "kube-apiserver-kubelet-client", Some("system:masters"))?;
    let front = Authority::new(dir, "front-proxy-ca", "box-front-proxy")?;
    front.client_files("front-proxy-client", "front-proxy-client", None)?;

    let tokens = KeyPair::generate()?;
    fs::write(dir.join("service-account.key"), tokens.serialize_pem())?;
    fs::write(dir.join("service-account.pub"), tokens.public_key_pem())?;
    Ok(authority)
}

/// The names under which the API server is called, inside and outside.
fn api_names(families: Families) -> Vec<String> {
    let hosts = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    // The way from outside leads to 127.0.0.1 whatever the box has.
    let mut names: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    names.push(Ipv4Addr::LOCALHOST.to_string());
    for family in families.list() {
        let addresses = [family.loopback(), family.node(1), family.kubernetes()];
        names.extend(addresses.iter().map(ToString::to_string));
    }
    names
}

impl Authority {
    fn new(dir: &Path, file: &str, name: &str) -> Result<Self> {
        let mut params = params(name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        save(dir, file, &Identity { certificate: certificate.clone(), key: key.serialize_pem() })?;
        Ok(Self { dir: dir.to_owned(), issuer: Issuer::new(params, key), certificate })
    }

    /// A client's identity; Kubernetes takes the user from the common name, the group from the organization.
    pub(crate) fn client(&self, user: &str, group: Option<&str>) -> Result<Identity> {
        let mut params = params(user, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn client_files(&self, file: &str, user: &str, group: Option<&str>) -> Result<()> {
        save(&self.dir, file, &self.client(user, group)?)
    }

    fn server(&self, file: &str, name: &str, hosts: &[String]) -> Result<()> {
        let mut params = params(name, None);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        for host in hosts {
            params.subject_alt_names.push(match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(host.as_str().try_into()?),
            });
        }
        save(&self.dir, file, &self.sign(params)?)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<Identity> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }
}

fn params(name: &str, organization: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    // A day of slack, for a clock that is set while the box runs.
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(365);
    params
}

fn save(dir: &Path, file: &str, identity: &Identity) -> Result<()> {
    fs::write(dir.join(format!("{file}.crt")), &identity.certificate)?;
    fs::write(dir.join(format!("{file}.key")), &identity.key)
        .with_context(|| format!("cannot write {file}.key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;
    use x509_parser::prelude::*;

    /// What a certificate says, as far as it matters here.
    fn read(pem: &str) -> (String, String, Vec<String>) {
        let (_, pem) = parse_x509_pem(pem.as_bytes()).unwrap();
        let certificate = pem.parse_x509().unwrap();
        let names = certificate.subject_alternative_name().unwrap();
        let names = names.map(|names| names.value.general_names.iter().map(text).collect());
        (certificate.subject().to_string(), certificate.issuer().to_string(), names.unwrap_or_default())
    }

    fn text(name: &GeneralName<'_>) -> String {
        match name {
            GeneralName::IPAddress([a, b, c, d]) => Ipv4Addr::new(*a, *b, *c, *d).to_string(),
            GeneralName::IPAddress(bytes) => {
                Ipv6Addr::from(<[u8; 16]>::try_from(*bytes).unwrap()).to_string()
            }
            GeneralName::DNSName(name) => (*name).to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_file_of_the_command_lines_is_made() {
        let layout = crate::config::sample();
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), layout.nodes(), layout.families()).unwrap();
        let lines = [crate::config::apiserver(&layout), crate::config::controllers(&layout)];
        let pki = layout.data().join("pki");
        for argument in lines.iter().flat_map(|line| &line.arguments) {
            let Some((_, value)) = argument.to_str().unwrap().split_once('=') else {
                continue;
            };
            let Ok(file) = Path::new(value).strip_prefix(&pki) else {
                continue;
            };
            // `--cert-dir` names directories that the components make themselves.
            if file.extension().is_some() {
                assert!(dir.path().join(file).is_file(), "{argument:?}");
            }
        }
        assert!(dir.path().join("kubelet-2.key").is_file());
    }

    #[test]
    fn the_api_server_may_be_called_from_both_sides() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), 1..=1, Families::Dual).unwrap();
        let (_, issuer, names) = read(&fs::read_to_string(dir.path().join("apiserver.crt")).unwrap());
        assert_eq!(issuer, "CN=box");
        for name in [
            "localhost",
            "kubernetes.default.svc",
            "127.0.0.1",
            "10.88.0.1",
            "10.96.0.1",
            "fd00:10:88::1",
            "fd00:10:96::1",
        ] {
            assert!(names.iter().any(|one| one == name), "{name} is not in {names:?}");
        }
    }

    #[test]
    fn a_client_is_its_user_in_its_group() {
        let dir = tempfile::tempdir().unwrap();
        let authority = make(dir.path(), 1..=1, Families::Ipv4).unwrap();
        let admin = authority.client("admin", Some("system:masters")).unwrap();
        let (subject, issuer, _) = read(&admin.certificate);
        assert_eq!((subject.as_str(), issuer.as_str()), ("CN=admin, O=system:masters", "CN=box"));
    }
}
