// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Messages in an answer (DSP0266, section 8.6): `error`, `@Message.ExtendedInfo`.

use serde_json::Value;

/// Longest message text that is stored.
const LIMIT: usize = 1_000;

/// All messages of `body` in one line: id, text, arguments and properties of each.
pub(crate) fn detail(body: &Value) -> String {
    let error = body.get("error").unwrap_or(body);
    let mut parts = Vec::new();
    for list in ["@Message.ExtendedInfo", "Messages"] {
        // Some BMCs send an object instead of a list.
        match error.get(list) {
            Some(Value::Array(messages)) => parts.extend(messages.iter().map(message)),
            Some(one @ Value::Object(_)) => parts.push(message(one)),
            _ => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() {
        let texts = ["code", "message"].map(|name| error.get(name).and_then(Value::as_str));
        parts.extend(texts.into_iter().flatten().map(str::to_owned));
        // Some answer in plain text. An HTML page has no useful text.
        let text = body.as_str().map(str::trim).filter(|text| !text.starts_with('<'));
        parts.extend(text.map(str::to_owned));
    }
    let mut line = parts.join("; ").replace(['\r', '\n'], " ");
    if let Some((end, _)) = line.char_indices().nth(LIMIT) {
        line.truncate(end);
    }
    line
}

fn message(message: &Value) -> String {
    let text = |name| message.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let list = |name| {
        let values = message.get(name).and_then(Value::as_array)?;
        let texts: Vec<_> = values.iter().filter_map(Value::as_str).collect();
        (!texts.is_empty()).then(|| format!("[{}]", texts.join(", ")))
    };
    let parts = [
        text("MessageId").map(str::to_owned),
        text("Message").map(str::to_owned),
        list("MessageArgs"),
        list("RelatedProperties"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_shape_that_bmcs_send_is_read() {
        let ilo = json!({"error": {"code": "iLO.0.10.ExtendedInfo", "message": "See below",
            "@Message.ExtendedInfo": [{"MessageArgs": ["BootSourceOverrideTarget"],
            "MessageId": "iLO.2.37.UnableToModifyDuringSystemPOST"}]}});
        assert_eq!(
            detail(&ilo),
            "iLO.2.37.UnableToModifyDuringSystemPOST [BootSourceOverrideTarget]"
        );
        let one = json!({"error": {"@Message.ExtendedInfo": {"Message": "a\nb"}}});
        assert_eq!(detail(&one), "a b");
        let bare = json!({"error": {"code": "Base.1.0.GeneralError", "message": "no"}});
        assert_eq!(detail(&bare), "Base.1.0.GeneralError; no");
        assert_eq!(detail(&json!("text")), "text");
        assert_eq!(detail(&json!("<html><body>text</body></html>")), "");
        assert_eq!(
            detail(&json!({"error": {"message": "ä".repeat(5_000)}})).chars().count(),
            LIMIT
        );
    }
}
