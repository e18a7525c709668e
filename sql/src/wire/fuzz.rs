//! Entry points for fuzzing: whatever the bytes, these return.

use super::frontend::{HEADER_BYTES, Message, frame_header};
use super::socket::Socket;
use super::startup;
use bytes::{Buf, Bytes};

/// Frames and messages after login.
pub fn fuzz_messages(data: &[u8]) {
    let mut rest = Bytes::copy_from_slice(data);
    while let Ok(Some(header)) = frame_header(&rest) {
        if rest.len() < HEADER_BYTES + header.body {
            break;
        }
        rest.advance(HEADER_BYTES);
        let _ = Message::parse(header.kind, rest.split_to(header.body));
    }
}

/// Packets before login.
pub fn fuzz_startup(data: &[u8]) {
    let stream = tokio::io::join(data, tokio::io::sink());
    let mut socket = Socket::new(stream);
    // Input and output are in memory, so nothing is ever waited for.
    let _ = futures::executor::block_on(startup::request(&mut socket, None));
}
