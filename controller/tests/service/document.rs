// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Validates every API reply that the test client receives with `openapi.json`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::Reply;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(controller::api::OPENAPI).unwrap());

/// Compiled validators by JSON pointer of their schema: polling tests use them often.
static VALIDATORS: Mutex<BTreeMap<String, Arc<Validator>>> = Mutex::new(BTreeMap::new());

/// Fails if `openapi.json` does not allow `reply` for this request.
#[track_caller]
pub(crate) fn check(method: &str, target: &str, reply: &Reply) {
    if let Err(fault) = compare(method, target, reply) {
        let (status, text) = (reply.status, reply.text());
        panic!("{method} {target}: {status} is not as openapi.json has it: {fault}\n{text}");
    }
}

fn compare(method: &str, target: &str, reply: &Reply) -> Result<(), String> {
    let path = target.split('?').next().unwrap_or_default();
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let Some((template, operations)) = paths.iter().find(|(template, _)| fits(template, path))
    else {
        return if path.starts_with("/api/") { problem(reply, 404, "not_found") } else { Ok(()) };
    };
    let name = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
    let Some(operation) = operations.get(&name) else {
        let text = !path.starts_with("/api/") && reply.status == 405;
        return if text { Ok(()) } else { problem(reply, 405, "method_not_allowed") };
    };
    let plain = !path.starts_with("/api/") && reply.body.is_empty();
    if reply.status == 404 && (plain || problem(reply, 404, "not_found").is_ok()) {
        // This listener does not serve the operation.
        return Ok(());
    }
    let at = format!("/paths/{}/{name}/responses/{}", escape(template), reply.status);
    let documented = &operation["responses"][reply.status.to_string()];
    let (at, documented) = match documented["$ref"].as_str() {
        Some(target) => {
            let pointer = target.strip_prefix('#').unwrap();
            (pointer.to_owned(), DOCUMENT.pointer(pointer).ok_or("its reference leads nowhere")?)
        }
        None => (at, documented),
    };
    if documented.is_null() {
        return Err("the operation has no such status".to_owned());
    }
    for (header, _) in documented["headers"].as_object().into_iter().flatten() {
        if header != "Retry-After" && !reply.headers.contains_key(header.as_str()) {
            return Err(format!("it has no {header}"));
        }
    }
    let Some(content) = documented["content"].as_object() else {
        let empty = reply.body.is_empty();
        return if empty { Ok(()) } else { Err("it has a body".to_owned()) };
    };
    let kind = reply.headers.get("content-type").and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if !content.contains_key(kind) {
        return Err(format!("its content is {kind:?}"));
    }
    if method == "HEAD" || kind != "application/json" {
        return Ok(());
    }
    validate(reply, &format!("{at}/content/{}/schema", escape(kind)))
}

/// Returns whether a path matches a template such as `/api/v1/jobs/{id}`.
fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template.zip(path).all(|(name, part)| name == part || name.starts_with('{'))
}

/// Checks the reply where there is no operation.
fn problem(reply: &Reply, status: u16, code: &str) -> Result<(), String> {
    if reply.status != status {
        return Err(format!("no such operation: expected {status} {code}"));
    }
    validate(reply, "/components/schemas/Problem")?;
    let found = &reply.json()["error"];
    if *found == code { Ok(()) } else { Err(format!("expected {code}")) }
}

/// Validates the body with the schema at a JSON pointer.
fn validate(reply: &Reply, pointer: &str) -> Result<(), String> {
    let body: Value = serde_json::from_slice(&reply.body).map_err(|e| e.to_string())?;
    let validator = {
        let mut known = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(validator(pointer));
        Arc::clone(known.entry(pointer.to_owned()).or_insert_with(new))
    };
    let faults: Vec<String> = validator
        .iter_errors(&body)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

fn validator(pointer: &str) -> Validator {
    let mut schema = DOCUMENT.pointer(pointer).unwrap().clone();
    schema["components"] = DOCUMENT["components"].clone();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Escapes a name for a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[test]
fn a_reply_that_is_not_documented_is_a_fault() {
    let reply = |status, kind: &str, body: &Value| {
        let headers = [("content-type", kind)].map(|(name, value)| {
            (name.parse().unwrap(), value.parse::<ureq::http::HeaderValue>().unwrap())
        });
        Reply { status, headers: headers.into_iter().collect(), body: body.to_string().into() }
    };
    let json = |status, body: &Value| reply(status, "application/json", body);
    let servers = |reply: &Reply| compare("GET", "/api/v1/servers?limit=1", reply);
    let empty = json!({ "servers": [], "next_after": null });
    servers(&json(200, &empty)).unwrap();
    let unknown = json!({ "error": "not_found", "message": "m" });
    for (wrong, expected) in [
        (json(299, &empty), "no such status"),
        (reply(200, "text/html", &empty), "its content is"),
        (json(200, &json!({ "servers": [] })), "next_after"),
        (json(200, &json!({ "servers": [{}], "next_after": null })), "/servers/0"),
        (json(400, &json!({ "error": 1, "message": "m" })), "/error"),
    ] {
        test_support::assert_contains(servers(&wrong).unwrap_err(), expected);
    }
    compare("GET", "/api/v1/absent", &json(404, &unknown)).unwrap();
    compare("GET", "/api/v1/absent", &json(200, &empty)).unwrap_err();
    compare("PATCH", "/api/v1/servers", &json(404, &unknown)).unwrap_err();
    let gone = |body: &str| Reply { body: body.into(), ..reply(204, "text/plain", &Value::Null) };
    compare("DELETE", "/api/v1/servers/S1", &gone("")).unwrap();
    compare("DELETE", "/api/v1/servers/S1", &gone("x")).unwrap_err();
}
