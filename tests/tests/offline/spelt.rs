//! YAML, read by `kubectl` and by us.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::world::Scenario;

use crate::{piped, silverback_reads};

/// Under `podTemplateSpec`, where everything stays as it is written.
const ODD: &str = r#"# What people write, and what YAML 1.1 makes of it.
apiVersion: gateway-operator.konghq.com/v1beta1
kind: DataPlane
metadata:
  name: &name odd
spec:
  deployment:
    podTemplateSpec:
      words: [y, Y, n, yes, No, ON, off, true, False, ~, null, Null, nULL, tRUE, "yes", 'no', kong, "", .]
      numbers: [0, -0, 7, +7, -7, 0777, 0o17, 0x1F, 0b101, -0b11, 08, 1_000, 1__0, 3.0, 1.5, .5, 5., 1e3, 1E-3, -1.5e+2]
      large: [9223372036854775807, -9223372036854775808, 1e15, 1e16, 123456789012345678]
      texts: [100m, 1Gi, 1.2.3, 12:30, 2026-01-02, 2026-01-02T03:04:05Z, 1e, +-1, 0x, 0xZ, 1_, _1, 1.2e, 0b12, 0o8, "0777", '1.5']
      tagged: [!!str 12, !!int "12", !!float 3, !!float "1.5", !!str yes, !!bool "true"]
      keys: {1: a, 1.5: b, true: c, yes-no: d, "2": e, 0x10: f}
      base: &base {a: 1, b: {c: 2}}
      merged:
        <<: *base
        a: 3
      twice:
        <<: [{x: 1, y1: 1}, {x: 2, z: 2}]
      again: [*base, *name]
      literal: |
        one
          two

        three
      stripped: |-
        one
      kept: |+
        one

      folded: >
        one
        two

        three
      plain: one
        two
      quoted: "tab\tline\nunicode \u00e4 \x41 \
        joined"
      single: 'it''s'
      ? complex
      : value
      given: {a: 1, a: 2}
      empty:
      nested: {list: [[], {}, [1, [2]]], "with space": 1, trailing: [1, 2,]}
      comment: a#b # not this
"#;

pub async fn yaml_is_read_as_kubectl_reads_it(s: Scenario) -> Result<()> {
    let mut kubectl = s.world.cluster.kubectl()?;
    kubectl.args(["create", "--dry-run=client", "--validate=false", "--output=json", "--filename=-"]);
    let theirs = piped(&mut kubectl, ODD).await?;
    ensure!(theirs.code == 0, "{}", theirs.err);
    let ours = silverback_reads(&s, &["default"], ODD).await?;
    ensure!(ours.code == 0, "{}", ours.err);
    let of =
        |object: &Value| object.pointer("/spec/deployment/podTemplateSpec").cloned().context("no template");
    let theirs = of(&serde_json::from_str(&theirs.out)?)?;
    let ours = of(&serde_saphyr::from_str(&ours.out)?)?;
    let fields = theirs.as_object().context("no object")?;
    ensure!(fields.len() == ours.as_object().map_or(0, serde_json::Map::len), "{ours:#}\nis not\n{theirs:#}");
    let differ = |(name, value): &(&String, &Value)| ours.get(name.as_str()) != Some(*value);
    let wrong: Vec<_> = fields.iter().filter(differ).collect();
    let wrong: Vec<_> =
        wrong.iter().map(|(name, value)| format!("{name}: {}\nis not {value}", ours[*name])).collect();
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
