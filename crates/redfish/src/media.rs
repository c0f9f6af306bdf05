// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Inserting and ejecting images, with a check after each write.

use std::time::Instant;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::bmc::Bmc;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::profile::Profile;
use crate::slot::Slot;

impl Bmc {
    /// Inserts the image at the URL `image` into the slot, in place of any other. The slot is emptied
    /// first even if it claims to hold this image: iDRACs claim that of images that are long gone.
    ///
    /// # Errors
    /// When the BMC refuses it, or does not show it in time.
    pub async fn insert(&self, slot: &Slot, image: &str) -> Result<()> {
        let client = &*self.client;
        match self.eject(slot).await {
            // Stale state: still reported, or nothing to eject. The next insert decides.
            Ok(()) | Err(Error::NotTaken(_)) => {}
            Err(error) if error.refusal().is_some() && !error.is_transient() => {}
            Err(error) => return Err(error.redact(image)),
        }
        let mut request = Request::new(self.found.profile, image);
        let mut attempt = 0;
        loop {
            let error = match request.send(client, slot).await {
                Err(error) if request.adapt(&error) => continue,
                sent => match confirm(client, slot, sent, |state| state.holds(image)).await {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                },
            };
            attempt += 1;
            if !error.is_transient() || attempt >= client.timing.attempts {
                return Err(error.redact(image));
            }
            tokio::time::sleep(client.timing.pause(attempt, error.retry_after())).await;
        }
    }

    /// Empties the slot if it reports a medium.
    ///
    /// # Errors
    /// When the BMC refuses it, or still shows the image after the time limit.
    pub async fn eject(&self, slot: &Slot) -> Result<()> {
        let client = &*self.client;
        let (mut attempt, mut refusal) = (0, None);
        loop {
            let resource = client.get(&slot.path).await?.value;
            if State::parse(&resource).is_empty() {
                return Ok(());
            }
            let sent = match action(&resource, "#VirtualMedia.EjectMedia") {
                _ if refusal.is_some() => Ok(()),
                // iLO requires a body, even an empty one.
                Some(target) => client.post(&target, &json!({})).await,
                None => client.patch(&slot.path, &json!({"Image": null, "Inserted": false})).await,
            };
            let sent = match sent {
                // An earlier attempt emptied the slot, which may still report its medium for a while.
                Err(error) if attempt > 0 && error.is_refusal() => {
                    refusal = Some(error);
                    Ok(())
                }
                sent => sent,
            };
            let error = match confirm(client, slot, sent, State::is_empty).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            attempt += 1;
            if !error.is_transient() || attempt >= client.timing.attempts {
                return Err(refusal.unwrap_or(error));
            }
            tokio::time::sleep(client.timing.pause(attempt, error.retry_after())).await;
        }
    }
}

/// The medium that the slot reports.
struct State {
    image: String,
    name: String,
    inserted: Option<bool>,
}

impl State {
    fn parse(resource: &Value) -> Self {
        let text = |name| resource.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let inserted = resource.get("Inserted").and_then(Value::as_bool);
        Self { image: text("Image"), name: text("ImageName"), inserted }
    }

    fn is_empty(&self) -> bool {
        // Supermicro keeps the name of the last medium.
        self.inserted == Some(false) || self.inserted.is_none() && self.image.is_empty()
    }

    /// Whether it is `image`: by URL, or by name if the BMC shows only that.
    fn holds(&self, image: &str) -> bool {
        let last = |text: &str| text.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        !self.is_empty()
            && if self.image.contains("://") {
                self.image == image
            } else if !self.image.is_empty() {
                last(&self.image) == last(image)
            } else {
                self.name.is_empty() || last(&self.name) == last(image)
            }
    }
}

/// Checks the state of the slot after a write that was answered with `sent`: the write may have
/// happened although the answer was lost, or not although it was a success.
async fn confirm(
    client: &Client,
    slot: &Slot,
    sent: Result<()>,
    wanted: impl Fn(&State) -> bool,
) -> Result<()> {
    let deadline = Instant::now() + client.patience(&sent);
    loop {
        let state = State::parse(&client.get(&slot.path).await?.value);
        if wanted(&state) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            sent?;
            let holds = match (state.is_empty(), state.name.as_str()) {
                (true, _) => "nothing".to_owned(),
                (false, "") => "an image".to_owned(),
                (false, name) => name.to_owned(),
            };
            return Err(Error::NotTaken(format!(
                "the BMC accepted the change, but slot {} still reports {holds} after {:?}",
                slot.id, client.timing.settle
            )));
        }
        tokio::time::sleep(client.timing.poll).await;
    }
}

fn action(resource: &Value, name: &str) -> Option<String> {
    let target = resource.get("Actions")?.get(name)?.get("target")?;
    target.as_str().map(str::to_owned)
}

/// Optional properties of an insert request, which adapts to refusals.
#[expect(clippy::struct_excessive_bools, reason = "each is one property to send or leave out")]
struct Request<'a> {
    image: &'a str,
    /// `Inserted` and `WriteProtected`.
    inserted: bool,
    protocol: bool,
    method: bool,
    login: bool,
}

impl<'a> Request<'a> {
    fn new(profile: &Profile, image: &'a str) -> Self {
        Self {
            image,
            inserted: profile.accepts_inserted,
            protocol: false,
            method: false,
            login: false,
        }
    }

    async fn send(&self, client: &Client, slot: &Slot) -> Result<()> {
        let resource = client.get(&slot.path).await?.value;
        let mut body = json!({"Image": self.image});
        let target = action(&resource, "#VirtualMedia.InsertMedia");
        // A PATCH changes only what it names, so both are needed.
        if self.inserted || target.is_none() {
            body["Inserted"] = json!(true);
            body["WriteProtected"] = json!(true);
        }
        if self.protocol {
            let secure = self.image.starts_with("https:");
            body["TransferProtocolType"] = json!(if secure { "HTTPS" } else { "HTTP" });
        }
        if self.method {
            body["TransferMethod"] = json!("Stream");
        }
        // The media server needs no login; the BMC only requires the properties.
        if self.login {
            body["UserName"] = json!("anonymous");
            body["Password"] = json!("anonymous");
        }
        match target {
            Some(target) => client.post(&target, &body).await,
            None => client.patch(&slot.path, &body).await,
        }
    }

    /// Adapts to a refusal; false if it shows no other form.
    fn adapt(&mut self, error: &Error) -> bool {
        let Some(refusal) = error.refusal().filter(|refusal| {
            matches!(refusal.status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY)
                || refusal.status == StatusCode::INTERNAL_SERVER_ERROR
        }) else {
            return false;
        };
        if !self.protocol && refusal.names("TransferProtocolType") {
            self.protocol = true;
        } else if !self.method && refusal.names("TransferMethod") {
            self.method = true;
        } else if !self.login && (refusal.names("UserName") || refusal.names("Password")) {
            self.login = true;
        } else if self.inserted && (refusal.names("Inserted") || refusal.names("WriteProtected")) {
            self.inserted = false;
        } else {
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_what_the_bmc_shows_of_it() {
        let url = "http://controller.test/media/1/abc/task.iso";
        let holds = |value: Value| State::parse(&value).holds(url);
        assert!(holds(json!({"Image": url, "Inserted": true})));
        assert!(holds(json!({"Image": url, "Inserted": null})));
        assert!(holds(json!({"Image": "/mnt/task.iso", "Inserted": true})));
        assert!(holds(json!({"ImageName": "task.iso", "Inserted": true})));
        assert!(holds(json!({"Inserted": true})));
        assert!(!holds(json!({"Image": url, "Inserted": false})));
        assert!(!holds(
            json!({"Image": "http://controller.test/media/2/x/task.iso", "Inserted": true})
        ));
        assert!(!holds(json!({"ImageName": "other.iso", "Inserted": true})));
        assert!(!holds(json!({})));
        assert!(State::parse(&json!({"ImageName": "left.iso", "Inserted": false})).is_empty());
        assert!(State::parse(&json!({"Image": "", "Inserted": null})).is_empty());
    }
}
