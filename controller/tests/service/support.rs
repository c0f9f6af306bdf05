// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A service on a free loopback port, a client for it, and contents to push.

use std::io::{BufRead as _, BufReader};
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use controller::config::{Config, Overrides};
use controller::serve::Server;
use mock_bmc::{Mock, Personality};
use oci::Digest;
use oci::digest::{Algorithm, Hasher};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use ureq::Agent;
use ureq::http::{HeaderMap, Method, Request};

use crate::api::{PASSWORD, SECRETS};
use crate::document;
use crate::jobs::world::{HostBehaviour, World};

pub(crate) const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A service in this process. Drop stops it and removes its folder.
pub(crate) struct Service {
    pub(crate) client: Client,
    /// Client of the separate listener for hosts, if there is one.
    pub(crate) machines: Option<Client>,
    folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// With the default configuration: no access rules.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// With a configuration file; `FOLDER` is replaced by the service's folder.
    pub(crate) fn with(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        Self::start_in(folder, config)
    }

    pub(crate) fn start_in(folder: TempDir, config: &str) -> Self {
        let file = folder.path().join("controller.toml");
        let config = config.replace("FOLDER", folder.path().to_str().unwrap());
        std::fs::write(&file, config).unwrap();
        let overrides = Overrides {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            data_dir: Some(folder.path().join("data")),
            ..Overrides::default()
        };
        let config = Config::load(Some(&file), overrides).unwrap();
        let bmc = World::new(HostBehaviour::Good, 0, folder.path());
        let (stop, stopped) = oneshot::channel::<()>();
        let (sender, address) = channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let server = Server::bind(config, bmc).await.unwrap();
                let addresses = (server.address().unwrap(), server.machine_address().unwrap());
                sender.send(addresses).unwrap();
                server.run(async { drop(stopped.await) }).await;
            });
        });
        let (operators, machines) = address.recv().unwrap();
        let client = Client::new(&format!("http://{operators}"));
        let machines = machines.map(|machines| Client::new(&format!("http://{machines}")));
        Self { client, machines, folder, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Deref for Service {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the service panicked");
        }
    }
}

/// Password of the working BMCs.
pub(crate) const BMC_PASSWORD: &str = "of-the-bmc-that-answers";

/// Secrets that must not be logged, plain and as encoded in requests.
pub(crate) fn secrets() -> Vec<String> {
    use base64::Engine as _;
    let words = [
        BMC_PASSWORD,
        PASSWORD,
        SECRETS[0],
        SECRETS[1],
        "of-the-bmc-itself",
        "what-only-the-machine-may-see",
        "only-for-this-test",
        "wrong-for-this-test",
        "token-for-this-test",
        "secret-in-a-query",
        "mock-session-",
        "BEGIN PRIVATE KEY",
    ];
    let logins = [("admin", BMC_PASSWORD), ("ops", PASSWORD), ("look", PASSWORD)];
    let sent = |(user, word)| base64::prelude::BASE64_STANDARD.encode(format!("{user}:{word}"));
    let words = words.into_iter().map(str::to_owned).chain(logins.map(sent));
    words.chain(["k".repeat(48)]).collect()
}

/// The controller binary with arguments.
pub(crate) fn controller(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_controller"));
    command.args(arguments);
    command
}

/// The controller binary as a service on `listen`, with a configuration file in which `FOLDER` is
/// replaced by its folder. It logs at the highest level.
pub(crate) fn serve_on(listen: &str, folder: &Path, config: &str) -> Command {
    let file = folder.join("c.toml");
    std::fs::write(&file, config.replace("FOLDER", folder.to_str().unwrap())).unwrap();
    let mut command = controller(&["serve", "--listen", listen, "--config"]);
    command.arg(file).arg("--data-dir").arg(folder.join("data"));
    command.env("CONTROLLER_LOG_LEVEL", "trace");
    command
}

/// Same, on a free port.
pub(crate) fn serve(folder: &Path, config: &str) -> Command {
    serve_on("127.0.0.1:0", folder, config)
}

/// A mock BMC for host `S1`, and the request that registers it.
pub(crate) fn mock(runtime: &Runtime, personality: &'static Personality) -> (Mock, Value) {
    mock_with(runtime, personality, |_| {})
}

/// Same, configured.
pub(crate) fn mock_with(
    runtime: &Runtime,
    personality: &'static Personality,
    configure: impl FnOnce(&mut mock_bmc::Config),
) -> (Mock, Value) {
    let mut config = mock_bmc::Config::new(personality, "S1");
    BMC_PASSWORD.clone_into(&mut config.password);
    configure(&mut config);
    let mock = runtime.block_on(Mock::start(config)).unwrap();
    let server = json!({ "bmc_url": mock.url(), "username": "admin", "password": BMC_PASSWORD });
    (mock, server)
}

/// The controller in its own process, killed on drop. Its log is then searched for [`secrets`] and
/// for signatures of media URLs.
pub(crate) struct Process {
    pub(crate) client: Client,
    pub(crate) child: Child,
    pub(crate) log: NamedTempFile,
}

impl Process {
    /// Sends a signal. Not every system has the program `kill`.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .unwrap();
    }

    pub(crate) fn start(data: &Path) -> Self {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--log-level", "trace", "--data-dir"];
        Self::spawn(controller(&arguments).arg(data))
    }

    /// Makes it reload users, tokens and certificates.
    pub(crate) fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    /// Runs a command that becomes the controller.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let log = NamedTempFile::new().unwrap();
        let stderr = log.reopen().unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").expect("the address comes first");
        Self { client: Client::new(url), child, log }
    }

    /// Kills it like `kill -9`. Returns its log.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.read_log()
    }

    /// Returns the log so far.
    pub(crate) fn read_log(&self) -> String {
        String::from_utf8(std::fs::read(self.log.path()).unwrap()).unwrap()
    }

    fn check_log(&self) {
        let log = self.read_log();
        for secret in secrets() {
            let line = log.lines().find(|line| line.contains(&secret));
            assert!(line.is_none(), "a log holds {secret}: {line:?}");
        }
        // The third path component is the signature.
        for (at, _) in log.match_indices("/media/") {
            let mut words = log[at + 7..].split('/').skip(1);
            if words.next().is_some_and(|word| word.parse::<u64>().is_ok()) {
                let token = words.next().unwrap_or_default();
                assert_eq!(token, "…", "a log holds the signature of an image");
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail if the process has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        if !std::thread::panicking() {
            self.check_log();
        }
    }
}

/// A client that returns every response, whatever its status.
#[derive(Clone)]
pub(crate) struct Client {
    url: String,
    agent: Agent,
    authorization: Option<String>,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(url: &str) -> Self {
        let agent = Agent::config_builder().http_status_as_error(false).build().into();
        Self { url: url.to_owned(), agent, authorization: None }
    }

    /// Same, with other credentials.
    pub(crate) fn login(&self, user: &str, password: &str) -> Self {
        use base64::Engine as _;
        let token = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
        Self { authorization: Some(format!("Basic {token}")), ..self.clone() }
    }

    /// Same, with a token.
    pub(crate) fn bearer(&self, token: &str) -> Self {
        Self { authorization: Some(format!("Bearer {token}")), ..self.clone() }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn host(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Sends a request. Fails if `openapi.json` does not allow the API's reply.
    #[track_caller]
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let method: Method = method.parse().unwrap();
        let mut request =
            Request::builder().method(method.clone()).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if path.starts_with("/api/") && !body.is_empty() && !typed {
            request = request.header("content-type", "application/json");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let sends = matches!(method, Method::POST | Method::PUT | Method::PATCH);
        let answer = if sends {
            self.agent.run(request.body(body).unwrap())
        } else {
            self.agent.run(request.body(()).unwrap())
        };
        let mut answer = answer.unwrap();
        let reply = Reply {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.body_mut().with_config().limit(u64::MAX).read_to_vec().unwrap(),
        };
        document::check(method.as_str(), path, &reply);
        reply
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    pub(crate) fn head(&self, path: &str) -> Reply {
        self.send("HEAD", path, &[], b"")
    }

    pub(crate) fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], b"")
    }

    /// Starts an upload. Returns its URL.
    pub(crate) fn start_upload(&self, repository: &str) -> String {
        let reply = self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"");
        reply.expect(202).header("location").to_owned()
    }

    /// Pushes a blob in one request.
    pub(crate) fn push_blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = Digest::sha256(content);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.send("POST", &path, &[], content).expect(201);
        digest
    }

    /// Pushes a manifest by tag or digest.
    pub(crate) fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        manifest: &Value,
    ) -> Digest {
        self.put_manifest(repository, reference, manifest).expect(201);
        Digest::sha256(manifest.to_string().as_bytes())
    }

    pub(crate) fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        manifest: &Value,
    ) -> Reply {
        let kind = manifest["mediaType"].as_str().unwrap();
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.send("PUT", &path, &[("content-type", kind)], manifest.to_string().as_bytes())
    }

    /// Pushes a small image whose content depends on `seed`. Returns its manifest.
    pub(crate) fn push_image(&self, repository: &str, tag: &str, seed: &str) -> (Value, Digest) {
        let manifest = self.image(repository, seed);
        let digest = self.push_manifest(repository, tag, &manifest);
        (manifest, digest)
    }

    /// Pushes the blobs of a small image. Returns its manifest.
    pub(crate) fn image(&self, repository: &str, seed: &str) -> Value {
        let config = json!({ "architecture": "amd64", "os": "linux", "seed": seed }).to_string();
        let layer = format!("layer {seed}");
        self.push_blob(repository, config.as_bytes());
        self.push_blob(repository, layer.as_bytes());
        json!({
            "schemaVersion": 2,
            "mediaType": IMAGE_MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer.as_bytes())],
        })
    }
}

impl Reply {
    /// Fails with the whole response if the status differs.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, self.text());
        self
    }

    /// Checks status and code of an API problem.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(reply.header("content-type"), "application/json");
        let problem = reply.json();
        assert_eq!(problem["error"], code, "{problem}");
        assert!(!problem["message"].as_str().unwrap().is_empty());
        reply
    }

    /// Checks status and first code of a registry error.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(reply.header("content-type"), "application/json");
        let error = &reply.json()["errors"][0];
        assert_eq!(error["code"], code, "{error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
        reply
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({
        "mediaType": media_type,
        "digest": Digest::sha256(content).to_string(),
        "size": content.len(),
    })
}

pub(crate) fn digest(algorithm: Algorithm, content: &[u8]) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(content);
    hasher.finish()
}

/// Bytes that do not repeat with the size of any buffer.
pub(crate) fn bytes(size: usize) -> Vec<u8> {
    (0..=250).cycle().take(size).collect()
}
