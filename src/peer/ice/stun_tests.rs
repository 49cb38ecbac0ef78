//! STUN against RFC 5769 and against another implementation.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use rtc_stun::attributes::*;
use rtc_stun::crypto::providers::RingCrypto;
use rtc_stun::error_code::ErrorCodeAttribute;
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::*;
use rtc_stun::textattrs::TextAttribute;
use rtc_stun::uattrs::UnknownAttributes;
use rtc_stun::xoraddr::XorMappedAddress;

use super::stun::{BindingRequest, StunError, is_stun, write_error, write_success, write_unknown};

const PWD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const TRANSACTION: [u8; 12] = *b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";

/// RFC 5769 §2.1.
const REQUEST: &[u8] = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x10STUN test client\x00\x24\x00\x04\x6e\x00\x01\xff\
    \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\x00\x06\x00\x09evtj:h6vY\x20\x20\x20\
    \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
    \x80\x28\x00\x04\xe5\x7a\x3b\xcf";

/// A request of the other implementation; `extra` attributes stand before the signature.
fn request(username: &str, pwd: &str, extra: &[(u16, &[u8])]) -> Message {
    let mut message = Message::new();
    message.set_type(BINDING_REQUEST);
    message.transaction_id = TransactionId(TRANSACTION);
    message.write_header();
    message.add(ATTR_USERNAME, username.as_bytes());
    for (kind, value) in extra {
        message.add(AttrType(*kind), value);
    }
    let crypto = RingCrypto;
    MessageIntegrity::new_short_term_integrity_with_provider(pwd.to_owned(), &crypto)
        .add_to(&mut message)
        .unwrap();
    message
}

fn sealed(username: &str, pwd: &str, extra: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = request(username, pwd, extra);
    FINGERPRINT.add_to(&mut message).unwrap();
    message.raw
}

/// Reads an answer as the other implementation does; signature and fingerprint must hold.
fn read_by_other(answer: &[u8]) -> Message {
    let mut message = Message::new();
    message.unmarshal_binary(answer).unwrap();
    FINGERPRINT.check(&message).unwrap();
    MessageIntegrity::check(&mut message, PWD.as_bytes(), &RingCrypto).unwrap();
    message
}

#[test]
fn rfc_5769_2_1_request_is_read_and_verified() {
    let request = BindingRequest::parse(REQUEST).unwrap();
    assert_eq!(request.transaction, TRANSACTION);
    assert_eq!(
        (request.local_ufrag, request.remote_ufrag),
        ("evtj", "h6vY")
    );
    assert_eq!(request.priority, 0x6e00_01ff);
    assert!(request.controlled && !request.use_candidate);
    assert_eq!(request.verify(PWD), Ok(()));
    assert_eq!(request.verify("another"), Err(StunError::Integrity));
}

#[test]
fn rfc_5769_2_2_and_2_3_mapped_addresses_are_written() {
    let cases: [(&str, &[u8]); 3] = [
        (
            "[::ffff:192.0.2.1]:32853",
            b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43",
        ),
        (
            "192.0.2.1:32853",
            b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43",
        ),
        (
            "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
            b"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9",
        ),
    ];
    for (address, attribute) in cases {
        let mut out = b"left over".to_vec();
        write_success(&mut out, &TRANSACTION, address.parse().unwrap(), PWD);
        assert_eq!(out[..2], [0x01, 0x01]);
        assert_eq!(out[20..20 + attribute.len()], *attribute);
        read_by_other(&out);
    }
}

#[test]
fn any_flipped_bit_of_a_request_is_refused() {
    for at in 0..REQUEST.len() {
        let mut wrong = REQUEST.to_vec();
        wrong[at] ^= 0x04;
        let refused = BindingRequest::parse(&wrong).and_then(|request| request.verify(PWD));
        assert!(refused.is_err(), "{at}");
    }
}

#[test]
fn a_request_cut_short_or_with_something_behind_it_is_malformed() {
    for len in 0..REQUEST.len() {
        assert_eq!(
            BindingRequest::parse(&REQUEST[..len]),
            Err(StunError::Malformed)
        );
    }
    let longer = [REQUEST, &[0; 4]].concat();
    assert_eq!(BindingRequest::parse(&longer), Err(StunError::Malformed));
}

#[test]
fn each_refusal_has_its_reason() {
    let mut indication = sealed("a:b", PWD, &[]);
    indication[1] = 0x11;
    let no_fingerprint = request("a:b", PWD, &[]).raw;
    let mut no_integrity = Message::new();
    no_integrity.set_type(BINDING_REQUEST);
    no_integrity.write_header();
    no_integrity.add(ATTR_USERNAME, b"a:b");
    FINGERPRINT.add_to(&mut no_integrity).unwrap();
    let cases = [
        (indication, StunError::NotRequest),
        (no_fingerprint, StunError::Fingerprint),
        (no_integrity.raw, StunError::Integrity),
        (sealed("ab", PWD, &[]), StunError::Username),
        (sealed(":b", PWD, &[]), StunError::Username),
        (sealed("a:", PWD, &[]), StunError::Username),
        (sealed("a:b", PWD, &[(0x24, b"abc")]), StunError::Malformed),
    ];
    for (message, reason) in cases {
        assert_eq!(BindingRequest::parse(&message), Err(reason));
    }
}

#[test]
fn what_follows_the_signature_is_ignored_but_for_the_fingerprint() {
    let mut message = request("a:b", PWD, &[]);
    message.add(ATTR_USE_CANDIDATE, &[]);
    message.add(ATTR_USERNAME, b"c:d");
    message.add(AttrType(0x7777), b"unknown");
    FINGERPRINT.add_to(&mut message).unwrap();
    let request = BindingRequest::parse(&message.raw).unwrap();
    assert_eq!(request.local_ufrag, "a");
    assert!(!request.use_candidate);
    assert_eq!(request.verify(PWD), Ok(()));

    let mut message = Message {
        raw: message.raw.clone(),
        ..Message::new()
    };
    message.decode().unwrap();
    message.add(ATTR_USE_CANDIDATE, &[]);
    FINGERPRINT.add_to(&mut message).unwrap();
    assert_eq!(
        BindingRequest::parse(&message.raw),
        Err(StunError::Fingerprint)
    );
}

#[test]
fn an_attribute_that_hides_the_fingerprint_in_its_value_is_refused() {
    let mut message = request("a:b", PWD, &[]);
    message.add(AttrType(0x8000), &[0; 8]);
    // The last 8 bytes are a right FINGERPRINT, yet inside the value.
    let (length, at) = ((message.raw.len() - 20) as u16, message.raw.len() - 8);
    message.raw[2..4].copy_from_slice(&length.to_be_bytes());
    let crc = rtc_stun::fingerprint::fingerprint_value(&message.raw[..at]);
    message.raw[at..at + 4].copy_from_slice(&[0x80, 0x28, 0, 4]);
    message.raw[at + 4..].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(
        BindingRequest::parse(&message.raw),
        Err(StunError::Fingerprint)
    );
}

#[test]
fn an_unknown_required_attribute_is_told_after_the_signature_and_answered_with_420() {
    let message = sealed("a:b", PWD, &[(0x7abc, b"x"), (0x8abc, b"y"), (0x7abd, b"")]);
    let request = BindingRequest::parse(&message).unwrap();
    assert_eq!(request.verify("another"), Err(StunError::Integrity));
    assert_eq!(request.verify(PWD), Err(StunError::UnknownAttribute));
    let mut out = Vec::new();
    write_unknown(&mut out, &request, PWD);
    let answer = read_by_other(&out);
    let mut unknown = UnknownAttributes(Vec::new());
    unknown.get_from(&answer).unwrap();
    assert_eq!(unknown.0, [AttrType(0x7abc), AttrType(0x7abd)]);
    let mut code = ErrorCodeAttribute::default();
    code.get_from(&answer).unwrap();
    assert_eq!(code.code.0, 420);
}

#[test]
fn an_error_is_signed_and_carries_code_and_reason() {
    let mut out = Vec::new();
    for (code, reason) in [
        (487, "Role Conflict"),
        (400, ""),
        (500, &"é".repeat(200)[..]),
    ] {
        write_error(&mut out, &TRANSACTION, code, reason, PWD);
        let answer = read_by_other(&out);
        assert_eq!(answer.typ, BINDING_ERROR);
        assert_eq!(answer.transaction_id.0, TRANSACTION);
        let mut read = ErrorCodeAttribute::default();
        read.get_from(&answer).unwrap();
        assert_eq!(read.code.0, code);
        let read = String::from_utf8(read.reason).unwrap();
        assert!(reason.starts_with(&read) && read.len() >= reason.len().min(120));
    }
}

proptest! {
    #[test]
    fn requests_of_another_implementation_are_read(
        local in "[a-zA-Z0-9+/]{4,256}", remote in "[a-zA-Z0-9+/]{4,256}", pwd in "[a-zA-Z0-9+/]{22,256}",
        priority: u32, use_candidate: bool, controlled: bool, software in "[ -~]{0,60}",
    ) {
        let priority_bytes = priority.to_be_bytes();
        let mut extra: Vec<(u16, &[u8])> = vec![(0x24, &priority_bytes), (0x8022, software.as_bytes())];
        if use_candidate {
            extra.push((0x25, &[]));
        }
        extra.push((if controlled { 0x8029 } else { 0x802a }, &[7; 8]));
        let message = sealed(&format!("{local}:{remote}"), &pwd, &extra);
        let request = BindingRequest::parse(&message).unwrap();
        prop_assert_eq!(request.local_ufrag, local);
        prop_assert_eq!(request.remote_ufrag, remote);
        prop_assert_eq!(request.priority, priority);
        prop_assert_eq!(request.use_candidate, use_candidate);
        prop_assert_eq!(request.controlled, controlled);
        prop_assert_eq!(request.transaction, TRANSACTION);
        prop_assert_eq!(request.verify(&pwd), Ok(()));
    }

    #[test]
    fn answers_are_read_by_another_implementation(ip: IpAddr, port: u16, transaction: [u8; 12]) {
        let mut out = Vec::new();
        write_success(&mut out, &transaction, SocketAddr::new(ip, port), PWD);
        let answer = read_by_other(&out);
        prop_assert_eq!(answer.typ, BINDING_SUCCESS);
        prop_assert_eq!(answer.transaction_id.0, transaction);
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&answer).unwrap();
        prop_assert_eq!((mapped.ip, mapped.port), (ip.to_canonical(), port));
        prop_assert!(TextAttribute::get_from_as(&answer, ATTR_USERNAME).is_err());
    }

    #[test]
    fn garbage_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..300), framed: bool) {
        if framed && bytes.len() >= 28 {
            // Right up to the attributes, so that these are walked.
            bytes.truncate(bytes.len() / 4 * 4);
            let (length, at) = ((bytes.len() - 20) as u16, bytes.len() - 8);
            bytes[..4].copy_from_slice(&[0, 1, (length >> 8) as u8, length as u8]);
            bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
            let crc = rtc_stun::fingerprint::fingerprint_value(&bytes[..at]);
            bytes[at..at + 4].copy_from_slice(&[0x80, 0x28, 0, 4]);
            bytes[at + 4..].copy_from_slice(&crc.to_be_bytes());
            prop_assert!(is_stun(&bytes));
        }
        if let Ok(request) = BindingRequest::parse(&bytes) {
            prop_assert!(request.verify(PWD).is_err());
        }
    }
}
