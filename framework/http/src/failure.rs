//! What an error of the HTTP library means for a call: did the request leave, or may it have arrived?
//!
//! Texts are made from error kinds, never from the library's own messages: those contain URLs, and URLs contain queries.

use crate::address::Forbidden;
use bothways_engine::SendError;
use std::error::Error;
use std::io;

/// What became of a request that got no answer.
pub(crate) fn of_sending(error: &reqwest::Error) -> SendError {
    if let Some(forbidden) = find::<Forbidden>(error) {
        return SendError::Forbidden(forbidden.to_string());
    }
    if let Some(rustls::Error::InvalidCertificate(reason)) = find::<rustls::Error>(error) {
        return SendError::Untrusted(format!("{reason:?}"));
    }
    if error.is_connect() {
        return SendError::NotSent(connect_reason(error));
    }
    if error.is_builder() {
        return SendError::NotSent("the request cannot be written".into());
    }
    SendError::Lost(cut_reason(error))
}

/// What a cut answer means: the request arrived, its result is unknown.
pub(crate) fn of_reading(error: &reqwest::Error) -> SendError {
    if error.is_decode() && find::<io::Error>(error).is_none_or(|e| e.kind() == io::ErrorKind::InvalidData) {
        return SendError::Lost("the answer's compression is broken".into());
    }
    SendError::Lost(cut_reason(error))
}

fn connect_reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "connecting took too long".into();
    }
    if error.is_dns() {
        return "the host name cannot be resolved".into();
    }
    if find::<rustls::Error>(error).is_some() {
        return "TLS cannot be agreed on".into();
    }
    find::<io::Error>(error).map_or_else(|| "connecting failed".into(), |e| e.kind().to_string())
}

fn cut_reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the deadline passed".into();
    }
    find::<io::Error>(error).map_or_else(|| "the connection was cut".into(), |e| e.kind().to_string())
}

/// The innermost error of type `E` in the chain of causes. I/O errors hide what they wrap from the chain, so those are opened.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        found = error.downcast_ref::<E>().or(found);
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    found
}
