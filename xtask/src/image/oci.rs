//! An image of one layer as an archive: the image layout of the OCI (image-spec 1.1), and beside it the older
//! `manifest.json` of Docker, so that each tool that loads images finds what it looks for.
//!
//! Invariant: the same content gives the same bytes.

use super::tar::Archive;
use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What becomes of the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As it is: quick, for images that go no further than this machine.
    Plain,
    /// With gzip.
    Compressed,
}

/// An image to be.
#[derive(Clone, Debug)]
pub struct Image {
    name: String,
    files: Archive,
    architecture: &'static str,
    entrypoint: Vec<String>,
    user: Option<String>,
    ports: Vec<u16>,
    labels: BTreeMap<String, String>,
    stop_signal: Option<&'static str>,
}

impl Image {
    /// `name` with its tag. It is for the machine that this runs on.
    pub fn new<S: Into<String>>(name: &str, files: Archive, entrypoint: impl IntoIterator<Item = S>) -> Self {
        Self {
            name: name.to_owned(),
            files,
            architecture: super::Architecture::of_this_machine().oci_name(),
            entrypoint: entrypoint.into_iter().map(Into::into).collect(),
            user: None,
            ports: Vec::new(),
            labels: BTreeMap::new(),
            stop_signal: None,
        }
    }

    pub fn architecture(self, architecture: super::Architecture) -> Self {
        Self { architecture: architecture.oci_name(), ..self }
    }

    /// Whom its program runs as, unless the pod says otherwise.
    pub fn user(self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..self }
    }

    /// The signal that asks its program to stop, where that is not SIGTERM.
    pub fn stop_signal(self, signal: &'static str) -> Self {
        Self { stop_signal: Some(signal), ..self }
    }

    pub fn port(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The archive.
    pub fn pack(&self, packing: Packing) -> Result<Vec<u8>> {
        let plain = self.files.finish()?;
        let content = digest(&plain);
        let (layer, suffix) = match packing {
            Packing::Plain => (plain, ""),
            Packing::Compressed => (compressed(&plain)?, "+gzip"),
        };
        let mut blobs = Blobs::default();
        let layer = blobs.add(&format!("{LAYER}{suffix}"), layer)?;
        let config = blobs.add(CONFIG, serde_json::to_vec(&self.config(&content))?)?;
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        let mut manifest = blobs.add(MANIFEST, serde_json::to_vec(&manifest)?)?;
        manifest["platform"] = json!({"architecture": self.architecture, "os": "linux"});
        let tag = self.name.rsplit_once(':').context("an image without a tag")?.1;
        manifest["annotations"] =
            json!({"io.containerd.image.name": self.name, "org.opencontainers.image.ref.name": tag});
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]});
        let docker = json!([{
            "Config": blob_name(&config)?, "RepoTags": [self.name], "Layers": [blob_name(&layer)?],
        }]);
        let mut archive = blobs.0;
        archive.file(&PathBuf::from("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        archive.file(&PathBuf::from("index.json"), &serde_json::to_vec(&index)?)?;
        archive.file(&PathBuf::from("manifest.json"), &serde_json::to_vec(&docker)?)?;
        archive.finish()
    }

    fn config(&self, content: &str) -> Value {
        let mut config = json!({"Entrypoint": self.entrypoint, "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]});
        if let Some(user) = &self.user {
            config["User"] = json!(user);
        }
        if let Some(signal) = self.stop_signal {
            config["StopSignal"] = json!(signal);
        }
        if !self.ports.is_empty() {
            let ports: BTreeMap<_, _> =
                self.ports.iter().map(|port| (format!("{port}/tcp"), json!({}))).collect();
            config["ExposedPorts"] = json!(ports);
        }
        if !self.labels.is_empty() {
            config["Labels"] = json!(self.labels);
        }
        json!({
            "architecture": self.architecture, "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": [content]},
            "history": [{"comment": "shutdown-probe: cargo xtask image"}],
        })
    }
}

/// Files that are named by what is in them.
#[derive(Default)]
struct Blobs(Archive);

impl Blobs {
    /// Its descriptor.
    fn add(&mut self, media_type: &str, content: Vec<u8>) -> Result<Value> {
        let digest = digest(&content);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": content.len()});
        self.0.file(&PathBuf::from(blob_name(&descriptor)?), &content)?;
        Ok(descriptor)
    }
}

fn blob_name(descriptor: &Value) -> Result<String> {
    let digest = descriptor["digest"].as_str().context("a descriptor without a digest")?;
    Ok(format!("blobs/{}", digest.replace(':', "/")))
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Without a name and a time, so that it is the same again.
fn compressed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).context("compressing a layer")?;
    encoder.finish().context("compressing a layer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    fn image() -> Image {
        let mut files = Archive::default();
        files.program(Path::new("/x"), b"#!").unwrap();
        Image::new("localhost/x:dev", files, ["/x"]).user("0:0").port(9464)
    }

    #[test]
    fn the_same_content_gives_the_same_bytes() {
        assert_eq!(image().pack(Packing::Compressed).unwrap(), image().pack(Packing::Compressed).unwrap());
    }

    #[test]
    fn every_blob_is_named_by_its_content_and_reachable_from_the_index() {
        let directory = std::env::temp_dir().join(format!("xtask-image-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let archive = directory.join("image.tar");
        fs::write(&archive, image().pack(Packing::Compressed).unwrap()).unwrap();
        let unpacked =
            Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&directory).status().unwrap();
        assert!(unpacked.success());
        let json = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(directory.join(name)).unwrap()).unwrap()
        };
        let blob = |descriptor: &Value| {
            let bytes = fs::read(directory.join(blob_name(descriptor).unwrap())).unwrap();
            assert_eq!(digest(&bytes), descriptor["digest"]);
            assert_eq!(bytes.len() as u64, descriptor["size"]);
            bytes
        };
        let index = json("index.json");
        let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        let mut layer = Vec::new();
        let packed = blob(&manifest["layers"][0]);
        std::io::copy(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut layer).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(&layer));
        assert_eq!(config["config"]["User"], "0:0");
        assert_eq!(json("manifest.json")[0]["RepoTags"][0], "localhost/x:dev");
        fs::remove_dir_all(&directory).unwrap();
    }
}
