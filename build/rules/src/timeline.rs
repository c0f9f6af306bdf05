// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Draws the events of a job as SVG.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// Recorded events: a part of the API's reply to `GET /api/v1/jobs/ID`.
#[derive(Deserialize)]
struct Record {
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    at: String,
    kind: String,
    step: Option<String>,
    message: String,
}

/// Maximum number of characters of an event, for the column at the left.
const LONGEST: usize = 50;
/// Bounds of the bars, and heights of a row and of the lines around the rows, in pixels.
const LEFT: f64 = 450.0;
const WIDTH: f64 = 530.0;
const ROW: f64 = 22.0;
const MARGIN: f64 = 40.0;

const STYLE: &str = "text { font: 13px sans-serif; fill: #1b1f24; }
    .end { text-anchor: end; fill: #444c56; }
    .controller { fill: #9aa5b1; }
    .bmc { fill: #3566a8; }
    .host { fill: #3a7d44; }";

/// Draws the events of `json`, each as a bar from the event before it.
///
/// # Errors
/// When `json` is no record of a job, or has fewer than two events or a time that goes back.
pub fn draw(json: &str) -> Result<String> {
    let Record { events } = serde_json::from_str(json).context("no events of a job")?;
    let at = |event: &Event| {
        let at = humantime::parse_rfc3339(&event.at);
        at.with_context(|| format!("wrong time {:?} of an event", event.at))
    };
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        anyhow::bail!("no events")
    };
    let start = at(first)?;
    let total = time_since(start, at(last)?)?;
    ensure!(!total.is_zero(), "all events have the same time");
    // A step that starts has no length yet: it is in the bar of the next event.
    let shown: Vec<&Event> = events.iter().filter(|event| event.kind != "step").collect();
    let x = |time: Duration| LEFT + WIDTH * time.as_secs_f64() / total.as_secs_f64();
    let rows = f64::from(u32::try_from(shown.len())?);
    let height = 2.0 * MARGIN + ROW * rows;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 {height}\" role=\"img\" \
         aria-labelledby=\"t\">\n  \
         <title id=\"t\">Events of a job, with seconds since the job was created</title>\n  \
         <style>\n    {STYLE}\n  </style>\n  \
         <rect width=\"1000\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\"/>\n"
    );
    let mut previous = Duration::ZERO;
    let mut y = MARGIN;
    for event in shown {
        let time = time_since(start, at(event)?)?;
        let length = time.checked_sub(previous);
        let length = length.with_context(|| format!("the time goes back at {}", event.at))?;
        let (from, width) = (x(previous), (x(length) - LEFT).max(2.0));
        let (class, text) = (side(event), text(event));
        let seconds = time.as_secs_f64();
        svg.push_str(&format!("  <text x=\"20\" y=\"{y}\">{text}</text>\n  \
             <text x=\"{}\" y=\"{y}\" class=\"end\">{seconds:.1} s</text>\n  \
             <rect class=\"{class}\" x=\"{from:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"14\"/>\n",
            LEFT - 10.0,
            y - 11.0));
        previous = time;
        y += ROW;
    }
    for (x, class, text) in [
        (20, "controller", "controller"),
        (130, "bmc", "BMC, over Redfish"),
        (290, "host", "target host"),
    ] {
        svg.push_str(&format!(
            "  <rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"14\" height=\"14\"/>\n  \
             <text x=\"{}\" y=\"{}\">{text}</text>\n",
            y + 1.0,
            x + 20,
            y + 12.0
        ));
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn time_since(start: SystemTime, time: SystemTime) -> Result<Duration> {
    time.duration_since(start).context("an event is older than the first")
}

/// The class of an event: who acts before it.
fn side(event: &Event) -> &'static str {
    let step = event.step.as_deref().unwrap_or_default();
    match event.kind.as_str() {
        "host" | "state.succeeded" | "state.failed" => "host",
        _ if step.starts_with("redfish.") || step.starts_with("cleanup.") => "bmc",
        _ => "controller",
    }
}

/// The text of an event as text of XML. Of a change of state, it ends before the first comma, after
/// which details of the recipe follow.
fn text(event: &Event) -> String {
    let text = if let Some(step) = &event.step {
        format!("{step}: {}", event.message)
    } else {
        let message = event.message.split(", ").next().unwrap_or_default();
        format!("{}: {message}", event.kind)
    };
    let short = text.chars().take(LONGEST).collect::<String>();
    let short = if short == text { short } else { short + "…" };
    short.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(second: u32, kind: &str, step: Option<&str>, message: &str) -> serde_json::Value {
        let at = format!("2026-01-01T00:00:0{second}.500Z");
        serde_json::json!({"number": 1, "at": at, "kind": kind, "step": step, "message": message})
    }

    #[test]
    fn events_are_bars_with_times_since_the_first() {
        let events = [
            event(1, "state.queued", None, "created by <ops>, with a recipe"),
            event(1, "step", Some("iso.build"), "started"),
            event(2, "note", Some("redfish.discover"), "CD1, CD2 & more"),
            event(9, "state.succeeded", None, &"x".repeat(99)),
        ];
        let record = |events: &[_]| serde_json::json!({"events": events, "job_id": 1}).to_string();
        let svg = draw(&record(&events)).unwrap();
        for part in [
            ">state.queued: created by &lt;ops></text>",
            ">redfish.discover: CD1, CD2 &amp; more</text>",
            ">1.0 s</text>",
            "<rect class=\"bmc\" x=\"450.0\" y=\"51\" width=\"66.2\" height=\"14\"/>",
            "<rect class=\"host\" x=\"516.2\" y=\"73\" width=\"463.8\" height=\"14\"/>",
        ] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
        assert!(!svg.contains("started") && svg.contains("xxx…</text>"), "{svg}");
        let error = |events: &[_]| draw(&record(events)).unwrap_err().to_string();
        assert_eq!(error(&[]), "no events");
        assert_eq!(error(&events[..2]), "all events have the same time");
        let [a, _, c, d] = &events;
        let back = [a.clone(), d.clone(), c.clone(), d.clone()];
        assert_eq!(error(&back), "the time goes back at 2026-01-01T00:00:02.500Z");
        let wrong = serde_json::json!({"events": [{"at": "x", "kind": "", "message": ""}]});
        assert_eq!(
            draw(&wrong.to_string()).unwrap_err().to_string(),
            "wrong time \"x\" of an event"
        );
    }
}
