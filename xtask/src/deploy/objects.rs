//! Kubernetes objects, read from YAML.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Some objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects(Vec<Value>);

impl Objects {
    pub fn parse(yaml: &str) -> Result<Self> {
        let objects: Vec<Option<Value>> =
            serde_saphyr::from_multiple(yaml).context("the YAML cannot be read")?;
        let objects: Vec<Value> = objects.into_iter().flatten().collect();
        ensure!(!objects.is_empty(), "there is nothing in it");
        Ok(Self(objects))
    }

    /// The one of this kind.
    pub fn of_kind(&self, kind: &str) -> Option<&Value> {
        self.0.iter().find(|object| object["kind"] == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_objects_and_empty_ones_are_none() {
        let objects = Objects::parse("---\nkind: B\nn: 1\n---\n# nothing\n---\nkind: A\n").unwrap();
        assert_eq!(objects.of_kind("B").unwrap()["n"], 1);
        assert!(objects.of_kind("A").is_some() && objects.of_kind("C").is_none());
        assert!(Objects::parse("---\n# nothing\n").is_err());
    }
}
