// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Decodes bodies: some BMCs compress answers or prefix a byte-order mark, whatever was requested.

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use hyper::header::{CONTENT_ENCODING, HeaderMap};

/// The body without its content coding (RFC 9110, section 8.4) and byte-order mark, as UTF-8.
///
/// # Errors
/// With the reason: unknown coding, corrupt data, or more than `limit` bytes.
pub(crate) fn decode(headers: &HeaderMap, body: Bytes, limit: usize) -> Result<Bytes, String> {
    let coding = headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim());
    let body = match coding.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "identity") => body,
        Some("gzip" | "x-gzip") => read(MultiGzDecoder::new(&*body), limit)?,
        Some("deflate") => read(ZlibDecoder::new(&*body), limit)?,
        Some(other) => return Err(format!("the response has the content coding {other:?}")),
    };
    Ok(match &*body {
        [0xEF, 0xBB, 0xBF, ..] => body.slice(3..),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => body,
    })
}

fn read(decoder: impl std::io::Read, limit: usize) -> Result<Bytes, String> {
    let mut out = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder
        .take(most)
        .read_to_end(&mut out)
        .map_err(|error| format!("the response can't be decompressed: {error}"))?;
    if out.len() > limit {
        return Err(format!("the response is longer than {limit} bytes when decompressed"));
    }
    Ok(out.into())
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Bytes {
    let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok()).map(unit);
    let text: String =
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    text.into()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use hyper::header::HeaderValue;

    fn decode_body(coding: &'static str, body: &[u8]) -> Result<Bytes, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        decode(&headers, Bytes::copy_from_slice(body), 100)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn codings_and_marks_are_removed() {
        assert_eq!(decode_body("identity", b"{}").unwrap(), "{}");
        assert_eq!(decode_body("GZIP", &gzip(b"{}")).unwrap(), "{}");
        assert_eq!(decode_body("identity", b"\xEF\xBB\xBF{}").unwrap(), "{}");
        assert_eq!(decode_body("identity", b"\xFF\xFE{\0}\0").unwrap(), "{}");
        assert_eq!(decode_body("identity", b"\xFE\xFF\0{\0}").unwrap(), "{}");
        assert_eq!(decode(&HeaderMap::new(), Bytes::new(), 0).unwrap(), "");
    }

    #[test]
    fn what_can_not_be_decoded_is_named() {
        assert!(decode_body("br", b"x").unwrap_err().contains("\"br\""));
        assert!(decode_body("gzip", b"{}").unwrap_err().contains("decompressed"));
        assert!(decode_body("gzip", &gzip(&[b'x'; 101])).unwrap_err().contains("longer than 100"));
    }
}
