// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Requests to the BMC: authentication, resources and actions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::header::{ALLOW, HeaderMap, HeaderName, IF_MATCH, LOCATION, RETRY_AFTER};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::answer::{
    Answer, empty, encode, json, not_found, refusal, rewrite_links, with, with_etag,
};
use crate::config::Config;
use crate::fault::{Fault, Rule, take_matching};
use crate::hardware;
use crate::machine::{Boot, Drive, Machine, Phase, ScheduledStep};
use crate::paths::{ROOT, collection, manager_path, media_path, settings_path, system_path};
use crate::personality::{Etags, MediaMethod};
use crate::resources;
use crate::session::{Refused, Sessions};

/// The BMC, shared by all connections.
pub(crate) struct Service {
    pub(crate) config: Config,
    inside: Mutex<ServiceState>,
}

pub(crate) struct ServiceState {
    pub(crate) machine: Machine,
    pub(crate) sessions: Sessions,
    pub(crate) rules: Vec<Rule>,
    pub(crate) requests: Vec<(Method, String, u16)>,
    /// Number of requests without an answer.
    pub(crate) hung: usize,
    pub(crate) listeners: Vec<mpsc::UnboundedSender<Boot>>,
    /// Tasks by number: whether they are done.
    tasks: Vec<bool>,
}

/// Result of a request.
pub(crate) enum Outcome {
    Answer(Answer),
    /// The connection breaks.
    Drop,
}

/// A checked change.
#[derive(Clone)]
enum Change {
    Insert(usize, String),
    Eject(usize),
    /// An update of the BIOS to this version.
    Update(String),
}

impl Service {
    pub(crate) fn new(config: Config) -> Arc<Self> {
        let personality = config.personality;
        let life = config.behaviour.session;
        let inside = ServiceState {
            machine: Machine::new(personality, &config.behaviour),
            sessions: Sessions::new(&config.user, &config.password, personality.sessions, life),
            rules: Vec::new(),
            requests: Vec::new(),
            hung: 0,
            listeners: Vec::new(),
            tasks: Vec::new(),
        };
        Arc::new(Self { config, inside: Mutex::new(inside) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, ServiceState> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request.
    pub(crate) async fn handle(
        self: &Arc<Self>,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Outcome {
        let (prefix, rewrites) = self.config.personality.prefix;
        let Some(path) = path.strip_prefix(prefix) else {
            return Outcome::Answer(not_found());
        };
        let fault = take_matching(&mut self.lock().rules, method, path);
        let answer = match &fault {
            Some(Fault::DropBefore) => return Outcome::Drop,
            Some(Fault::HangBefore) => return self.hang().await,
            Some(Fault::Pretend) => empty(),
            Some(Fault::Status { status, retry_after, message }) => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
                let answer = refusal(status, message, "A fault of the test.", &[]);
                let wait = retry_after.map(|wait| wait.to_string());
                wait.iter().fold(answer, |answer, wait| with(answer, RETRY_AFTER, wait))
            }
            Some(Fault::DropAfter | Fault::Slow(_) | Fault::HangAfter) | None => {
                self.answer(method, path, headers, body)
            }
        };
        let entry = (method.clone(), path.to_owned(), answer.status().as_u16());
        self.lock().requests.push(entry);
        match fault {
            Some(Fault::DropAfter) => return Outcome::Drop,
            Some(Fault::HangAfter) => return self.hang().await,
            Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        let answer = if rewrites { rewrite_links(answer, prefix) } else { answer };
        let answer = encode(answer, self.config.personality.encoding);
        Outcome::Answer(with(answer, HeaderName::from_static("odata-version"), "4.0"))
    }

    /// Never answers; the client may break the connection.
    async fn hang(&self) -> Outcome {
        self.lock().hung += 1;
        std::future::pending().await
    }

    fn answer(
        self: &Arc<Self>,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Answer {
        // A trailing slash makes no difference.
        let path = path.trim_end_matches('/');
        if path == "/redfish" {
            return json(StatusCode::OK, &json!({"v1": "/redfish/v1/"}));
        }
        if path == ROOT && method == Method::GET {
            return json(StatusCode::OK, &resources::root(self.config.personality));
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let sessions = format!("{ROOT}/SessionService/Sessions");
        if path == sessions && method == Method::POST && self.config.personality.sessions > 0 {
            return self.open_session(&body);
        }
        if !self.lock().sessions.is_authenticated(headers) {
            let text = "The credentials are wrong or the session has ended.";
            let id = "Base.1.18.NoValidSession";
            return refusal(StatusCode::UNAUTHORIZED, id, text, &[]);
        }
        if let Some(id) =
            path.strip_prefix(&sessions).filter(|_| self.config.personality.sessions > 0)
        {
            return self.session(method, &sessions, id.trim_start_matches('/'));
        }
        match *method {
            Method::GET => self.get(path),
            Method::PATCH => self.patch(path, headers, &body),
            Method::POST => self.post(path, &body),
            _ => method_not_allowed(),
        }
    }

    fn open_session(&self, body: &Value) -> Answer {
        let text = |name| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let opened = self.lock().sessions.open(text("UserName"), text("Password"));
        match opened {
            Ok(id) => {
                let path = format!("{ROOT}/SessionService/Sessions/{id}");
                let value = json!({
                    "@odata.id": path,
                    "@odata.type": "#Session.v1_7_1.Session",
                    "Id": id.to_string(),
                    "Name": "Session",
                    "UserName": self.config.user,
                });
                let answer = with(json(StatusCode::CREATED, &value), LOCATION, &path);
                if self.config.personality.omits_token {
                    return answer;
                }
                with(answer, HeaderName::from_static("x-auth-token"), &Sessions::token(id))
            }
            Err(Refused::Credentials) => {
                let id = "Base.1.18.ResourceAtUriUnauthorized";
                refusal(StatusCode::UNAUTHORIZED, id, "User name or password are wrong.", &[])
            }
            Err(Refused::Full) => {
                let id = "Base.1.18.SessionLimitExceeded";
                refusal(StatusCode::SERVICE_UNAVAILABLE, id, "All sessions are taken.", &[])
            }
        }
    }

    fn session(&self, method: &Method, path: &str, id: &str) -> Answer {
        let mut inside = self.lock();
        if id.is_empty() && method == Method::GET {
            let ids = inside.sessions.ids();
            let members: Vec<_> = ids.iter().map(|id| format!("{path}/{id}")).collect();
            return json(StatusCode::OK, &collection(path, "Session", &members));
        }
        let closed =
            id.parse().is_ok_and(|id| method == Method::DELETE && inside.sessions.close(id));
        if closed { empty() } else { not_found() }
    }

    fn get(&self, path: &str) -> Answer {
        let personality = self.config.personality;
        let mut inside = self.lock();
        let inside = &mut *inside;
        let etag = inside.machine.etag(personality.etags);
        let (system, manager) = (system_path(personality), manager_path(personality));
        let media = media_path(personality);
        let list =
            |kind: &str, members: &[String]| json(StatusCode::OK, &collection(path, kind, members));
        if path == format!("{ROOT}/Systems") {
            list("ComputerSystem", &[system])
        } else if path == format!("{ROOT}/Managers") {
            list("Manager", &[manager])
        } else if path == format!("{ROOT}/SessionService") && personality.sessions > 0 {
            json(StatusCode::OK, &resources::session_service())
        } else if path == system {
            let value = resources::system(personality, &inside.machine, &self.config.serial);
            with_etag(&value, etag)
        } else if path == settings_path(personality) && personality.boot_in_settings {
            let value = resources::system(personality, &inside.machine, &self.config.serial);
            with_etag(&json!({"@odata.id": path, "Id": "SD", "Boot": value["Boot"]}), etag)
        } else if path == manager {
            json(StatusCode::OK, &resources::manager(personality))
        } else if path == media {
            let slots: Vec<_> =
                personality.slots.iter().map(|slot| format!("{media}/{}", slot.id)).collect();
            list("VirtualMedia", &slots)
        } else if let Some(index) = self.slot(path) {
            let drive = inside.machine.drives.get_mut(index);
            let value = drive.and_then(|drive| resources::slot(personality, index, drive));
            let answer = value.map_or_else(not_found, |value| with_etag(&value, etag));
            let inert = personality.slots.get(index).is_some_and(|slot| slot.inert);
            let patch = personality.media_method == MediaMethod::Patch && !inert;
            with(answer, ALLOW, if patch { "GET, PATCH" } else { "GET" })
        } else if let Some(number) = path.strip_prefix(&format!("{ROOT}/TaskService/TaskMonitors/"))
        {
            let task = number.parse::<usize>().ok().and_then(|number| inside.tasks.get(number));
            task.map_or_else(not_found, |is_done| monitor(path, *is_done))
        } else {
            let value = hardware::resource(personality, &inside.machine.bios, path);
            value.map_or_else(not_found, |value| json(StatusCode::OK, &value))
        }
    }

    fn patch(self: &Arc<Self>, path: &str, headers: &HeaderMap, body: &Value) -> Answer {
        let personality = self.config.personality;
        let version = self.lock().machine.etag(personality.etags);
        if let (Some(version), Some(wanted)) = (version, headers.get(IF_MATCH)) {
            // Strong comparison: a weak tag matches nothing.
            let strong = version.trim_start_matches("W/");
            let known = match personality.etags {
                Etags::Weak => wanted == strong,
                _ => wanted == version.as_str(),
            };
            if !known && wanted != "*" {
                let text = "The resource has another version.";
                let id = "Base.1.18.PreconditionFailed";
                return refusal(StatusCode::PRECONDITION_FAILED, id, text, &[]);
            }
        }
        if path == system_path(personality) && personality.boot_in_settings {
            let text = "The property is changed through the settings resource:";
            let id = "Base.1.18.PropertyNotWritable";
            return refusal(StatusCode::BAD_REQUEST, id, text, &["Boot"]);
        }
        if path == system_path(personality)
            || personality.boot_in_settings && path == settings_path(personality)
        {
            return self.patch_boot(body);
        }
        match self.slot(path) {
            Some(index) if personality.media_method == MediaMethod::Patch => {
                match body.get("Image").and_then(Value::as_str) {
                    Some(image) if body.get("Inserted") == Some(&json!(true)) => {
                        self.change(Change::Insert(index, image.to_owned()))
                    }
                    // The image is recorded, and nothing is attached.
                    Some(_) => empty(),
                    None => self.change(Change::Eject(index)),
                }
            }
            Some(_) => method_not_allowed(),
            None => not_found(),
        }
    }

    fn patch_boot(&self, body: &Value) -> Answer {
        let personality = self.config.personality;
        let mut inside = self.lock();
        let machine = &mut inside.machine;
        let text = |name: &str| body.pointer(&format!("/Boot/{name}")).and_then(Value::as_str);
        let refused = |id: &str, about: &str| {
            refusal(StatusCode::BAD_REQUEST, id, "The property can't be changed:", &[about])
        };
        if let Some(message) = personality.post_message.filter(|_| machine.phase == Phase::Post) {
            return refused(message, "BootSourceOverrideTarget");
        }
        if text("BootSourceOverrideMode").is_some() && !personality.mode_writable {
            return refused("Base.1.18.PropertyNotWritable", "BootSourceOverrideMode");
        }
        if personality.requires_mode && text("BootSourceOverrideMode").is_none() {
            let id = "Base.1.18.PropertyMissing";
            let text = "BootSourceOverrideMode is a required property.";
            return refusal(StatusCode::BAD_REQUEST, id, text, &[]);
        }
        if let Some(target) = text("BootSourceOverrideTarget") {
            let known =
                personality.boot_targets.is_empty() || personality.boot_targets.contains(&target);
            if !known {
                return refused("Base.1.18.PropertyValueNotInList", "BootSourceOverrideTarget");
            }
            target.clone_into(&mut machine.target);
        }
        if let Some(enabled) = text("BootSourceOverrideEnabled") {
            enabled.clone_into(&mut machine.enabled);
        }
        if let Some(mode) = text("BootSourceOverrideMode") {
            mode.clone_into(&mut machine.mode);
        }
        machine.version += 1;
        empty()
    }

    fn post(self: &Arc<Self>, path: &str, body: &Value) -> Answer {
        let personality = self.config.personality;
        if path == format!("{}/Actions/ComputerSystem.Reset", system_path(personality)) {
            return self.reset(body);
        }
        if path == hardware::simple_update_path() {
            return match hardware::updated_version(personality, body) {
                Ok(version) => self.start_task(Change::Update(version)),
                Err(answer) => *answer,
            };
        }
        let action = path.rsplit_once("/Actions/VirtualMedia.");
        let action = action.and_then(|(slot, action)| Some((self.slot(slot)?, action)));
        match action.filter(|_| personality.media_method == MediaMethod::Action) {
            Some((index, "InsertMedia")) => self.insert(index, body),
            Some((index, "EjectMedia")) => self.change(Change::Eject(index)),
            _ => not_found(),
        }
    }

    fn reset(self: &Arc<Self>, body: &Value) -> Answer {
        let kind = body.get("ResetType").and_then(Value::as_str).unwrap_or_default();
        if !self.config.personality.resets.contains(&kind) {
            let text = "This reset is not supported.";
            let id = "Base.1.18.ActionParameterNotSupported";
            return refusal(StatusCode::BAD_REQUEST, id, text, &["ResetType"]);
        }
        if kind == "ForceOff" {
            self.lock().machine.on_conflicts = self.config.personality.on_conflicts;
        } else if kind == "On" {
            let left = &mut self.lock().machine.on_conflicts;
            if *left > 0 {
                *left -= 1;
                let text = "The host is being switched off.";
                return refusal(StatusCode::CONFLICT, "IDRAC.2.9.SYS428", text, &[]);
            }
        }
        let next = self.lock().machine.reset(kind, &self.config.behaviour);
        self.follow(next);
        empty()
    }

    fn insert(self: &Arc<Self>, index: usize, body: &Value) -> Answer {
        let personality = self.config.personality;
        let refused = |(id, text): (&str, &str), about: &str| {
            refusal(StatusCode::BAD_REQUEST, id, text, &[about])
        };
        let missing = ("Base.1.18.ActionParameterMissing", "The action requires the parameter");
        let unknown =
            ("Base.1.18.ActionParameterUnknown", "The action does not know the parameter");
        let Some(image) = body.get("Image").and_then(Value::as_str) else {
            return refused(missing, "Image");
        };
        let mut flags = ["Inserted", "WriteProtected"].into_iter();
        let flag = flags.find(|flag| body.get(flag).is_some());
        if let Some(flag) = flag.filter(|_| personality.refuses_inserted) {
            return refused(unknown, flag);
        }
        if personality.requires_protocol && body.get("TransferProtocolType").is_none() {
            return refused(missing, "TransferProtocolType");
        }
        for name in ["UserName", "Password"] {
            if personality.requires_login && body.get(name).is_none() {
                // In the text only, as some BMCs do.
                let text = format!("The action requires {name}.");
                let id = "Base.1.18.GeneralError";
                return refusal(StatusCode::BAD_REQUEST, id, &text, &[]);
            }
        }
        if personality.slots.get(index).is_some_and(|slot| !slot.urls) {
            return refused(("Base.1.18.ActionNotSupported", "Not in this slot."), "InsertMedia");
        }
        self.change(Change::Insert(index, image.to_owned()))
    }

    /// Changes the media, now or as a task.
    fn change(self: &Arc<Self>, change: Change) -> Answer {
        if let Some(refusal) = self.check(&change) {
            return refusal;
        }
        if !self.config.personality.tasks {
            self.apply(&change);
            return empty();
        }
        self.start_task(change)
    }

    /// Makes a change as a task.
    fn start_task(self: &Arc<Self>, change: Change) -> Answer {
        let mut inside = self.lock();
        let number = inside.tasks.len();
        inside.tasks.push(false);
        drop(inside);
        let service = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(service.config.behaviour.task).await;
            service.apply(&change);
            if let Some(task) = service.lock().tasks.get_mut(number) {
                *task = true;
            }
        });
        let path = format!("{ROOT}/TaskService/TaskMonitors/{number}");
        with(json(StatusCode::ACCEPTED, &task(&path, "Running")), LOCATION, &path)
    }

    /// The refusal of a change that the media in the slots do not allow.
    fn check(&self, change: &Change) -> Option<Answer> {
        let inside = self.lock();
        let drives = &inside.machine.drives;
        let is_full = |drive: &Drive| drive.image.is_some();
        let one_medium = self.config.personality.one_medium;
        let (status, id, text) = match change {
            Change::Insert(index, _) if drives.get(*index).is_some_and(is_full) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Base.1.18.ResourceAlreadyExists",
                "There is an image in it already.",
            ),
            Change::Insert(..) if one_medium && drives.iter().any(is_full) => {
                (StatusCode::BAD_REQUEST, "IDRAC.2.8.RAC0904", "Another image is attached.")
            }
            Change::Eject(index) if drives.get(*index).is_some_and(|drive| !is_full(drive)) => {
                (StatusCode::BAD_REQUEST, "Base.1.18.GeneralError", "There is no image in it.")
            }
            Change::Insert(..) | Change::Eject(_) | Change::Update(_) => return None,
        };
        Some(refusal(status, id, text, &[]))
    }

    fn apply(&self, change: &Change) {
        let mut inside = self.lock();
        let machine = &mut inside.machine;
        machine.version += 1;
        let stale = self.config.personality.stale_reads;
        match change {
            Change::Update(version) => version.clone_into(&mut machine.bios),
            Change::Insert(index, image) => {
                if let Some(drive) = machine.drives.get_mut(*index) {
                    drive.image = Some(image.clone());
                }
            }
            Change::Eject(index) => {
                if let Some(drive) = machine.drives.get_mut(*index) {
                    let image = drive.image.take();
                    drive.stale = image.filter(|_| stale > 0).map(|image| (image, stale));
                }
            }
        }
    }

    /// Schedules the event after a reset.
    fn follow(self: &Arc<Self>, next: Option<ScheduledStep>) {
        let Some(mut next) = next else { return };
        let service = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(next.after).await;
                let mut inside = service.lock();
                let before = inside.machine.boots.len();
                let config = &service.config;
                let then = inside.machine.advance(
                    next,
                    config.personality,
                    &config.behaviour,
                    &config.serial,
                );
                let boots: Vec<_> = inside.machine.boots.iter().skip(before).cloned().collect();
                for boot in boots {
                    inside.listeners.retain(|listener| listener.send(boot.clone()).is_ok());
                }
                drop(inside);
                match then {
                    Some(then) => next = then,
                    None => return,
                }
            }
        });
    }

    fn slot(&self, path: &str) -> Option<usize> {
        let personality = self.config.personality;
        let id = path.strip_prefix(&media_path(personality))?.strip_prefix('/')?;
        personality.slots.iter().position(|slot| slot.id == id)
    }
}

fn task(path: &str, state: &str) -> Value {
    json!({
        "@odata.id": path,
        "@odata.type": "#Task.v1_7_4.Task",
        "Id": path.rsplit('/').next(),
        "Name": "Task",
        "TaskState": state,
    })
}

fn monitor(path: &str, is_done: bool) -> Answer {
    if is_done {
        json(StatusCode::OK, &task(path, "Completed"))
    } else {
        json(StatusCode::ACCEPTED, &task(path, "Running"))
    }
}

fn method_not_allowed() -> Answer {
    let text = "The resource does not do this.";
    refusal(StatusCode::METHOD_NOT_ALLOWED, "Base.1.18.OperationNotAllowed", text, &[])
}
