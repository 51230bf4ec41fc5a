//! Fields of Kong Gateway Operator that are outside this product.
//!
//! In: manifests that use them. Out: types that name them, so that a rule can refuse them with a
//! reason. Never: an effect.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The certificate for Konnect; refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KonnectCertificate {
    /// The cert-manager issuer of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<CertificateIssuer>,
}

/// A cert-manager issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateIssuer {
    /// Name of the issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// Namespace of the issuer; absent for a `ClusterIssuer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A reference to an extension; refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtensionRef {
    /// API group of the extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,

    /// Kind of the extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,

    /// Name of the extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// Namespace of the extension; absent, that of the DataPlane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A reference to a plugin installation; refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedName {
    /// Name of the plugin installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// Namespace of the plugin installation; absent, that of the DataPlane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}
