//! The floor's way out: seal, then one segmented message per viewer and frame.

use std::mem::MaybeUninit;
use std::net::SocketAddrV4;
use std::os::fd::RawFd;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use corertc::peer::srtp::{Keys, Profile};

use super::legs::Frame;

/// Viewers per system call, and messages at most: a frame may be several where its packets differ in length.
const VIEWERS: usize = 16;
const MESSAGES: usize = 64;
const HEADER: usize = 12;
const TAG: usize = 16;
/// Packets of 1228 bytes that one message holds.
const SEGMENTS: usize = 50;
/// Messages of one frame at most.
const RUNS: usize = 8;

/// A connected viewer.
struct Viewer {
    id: u64,
    name: libc::sockaddr_in,
    key: LessSafeKey,
    salt: u128,
    header: [u8; HEADER],
    /// Roll-over counter and sequence number of the next packet; 0 until the first key frame.
    index: u64,
}

/// All connected viewers and the scratch they share.
#[derive(Default)]
pub struct Sender {
    viewers: Vec<Viewer>,
    scratch: Vec<u8>,
}

/// Room for one UDP_SEGMENT control message, aligned as `cmsghdr` must be.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 24]);

/// `len` bytes of the scratch from `start` to a viewer, cut every `segment`.
#[derive(Clone, Copy)]
struct Message {
    viewer: usize,
    start: usize,
    len: usize,
    segment: u16,
}

impl Sender {
    /// It gets every frame from the next key frame on. False where its profile isn't AES-128-GCM.
    pub fn add(
        &mut self,
        id: u64,
        to: SocketAddrV4,
        keys: &Keys,
        ssrc: u32,
        payload_type: u8,
    ) -> bool {
        let Some((key, salt)) = session_keys(keys) else {
            return false;
        };
        let mut header = [0x80, payload_type, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header[8..].copy_from_slice(&ssrc.to_be_bytes());
        // SAFETY: plain data.
        let mut name: libc::sockaddr_in = unsafe { MaybeUninit::zeroed().assume_init() };
        name.sin_family = libc::AF_INET as _;
        name.sin_port = to.port().to_be();
        name.sin_addr.s_addr = u32::from(*to.ip()).to_be();
        let index = 0;
        self.viewers.push(Viewer {
            id,
            name,
            key,
            salt,
            header,
            index,
        });
        true
    }

    /// It left.
    pub fn remove(&mut self, id: u64) {
        self.viewers.retain(|viewer| viewer.id != id);
    }

    /// Sends a frame to everyone.
    pub fn send(&mut self, frame: &Frame, socket: RawFd) {
        let runs = runs(frame);
        let mut messages = [Message {
            viewer: 0,
            start: 0,
            len: 0,
            segment: 0,
        }; MESSAGES];
        let mut at = 0;
        let per_call = VIEWERS.min(MESSAGES / runs.len().clamp(1, MESSAGES));
        while at < self.viewers.len() {
            let end = self.viewers.len().min(at + per_call);
            let mut count = 0;
            let mut filled = 0;
            for index in at..end {
                let viewer = &mut self.viewers[index];
                if viewer.index == 0 {
                    if !frame.is_key {
                        continue;
                    }
                    viewer.index = 1;
                }
                for ((start, len), segment) in
                    seal(viewer, frame, &runs, &mut self.scratch, &mut filled)
                {
                    if count < MESSAGES {
                        messages[count] = Message {
                            viewer: index,
                            start,
                            len,
                            segment,
                        };
                        count += 1;
                    }
                }
            }
            self.call(&messages[..count], socket);
            at = end;
        }
    }

    /// One `sendmmsg`. What a full buffer refuses is lost.
    fn call(&self, messages: &[Message], socket: RawFd) {
        let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; MESSAGES];
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MESSAGES];
        let mut controls = [const { MaybeUninit::<Control>::uninit() }; MESSAGES];
        for (index, message) in messages.iter().enumerate() {
            let part = parts[index].write(libc::iovec {
                iov_base: self.scratch[message.start..].as_ptr().cast_mut().cast(),
                iov_len: message.len,
            });
            // SAFETY: plain data, null pointers with zero lengths are valid.
            let header = headers[index].write(unsafe { MaybeUninit::zeroed().assume_init() });
            let name = &raw const self.viewers[message.viewer].name;
            header.msg_hdr.msg_name = name.cast_mut().cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as _;
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            if message.segment > 0 {
                let control = controls[index].write(segments(message.segment));
                header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = control.0.len() as _;
            }
        }
        // SAFETY: the first `messages.len()` headers are written; they point to names and bytes in `self` and to parts
        // and controls in this frame, with true lengths.
        unsafe {
            libc::sendmmsg(
                socket,
                headers.as_mut_ptr().cast(),
                messages.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
            );
        }
    }
}

/// Seals a frame behind what is `filled`; where each run stands, and what the kernel shall cut it by.
fn seal(
    viewer: &mut Viewer,
    frame: &Frame,
    runs: &[usize],
    scratch: &mut Vec<u8>,
    filled: &mut usize,
) -> impl Iterator<Item = ((usize, usize), u16)> {
    let mut sealed = [((0, 0), 0); RUNS];
    let packets = frame.packets();
    let mut left = packets.len();
    let (mut run, mut in_run) = (0, 0);
    for payload in packets {
        if run == runs.len() {
            break;
        }
        left -= 1;
        let start = *filled;
        let len = HEADER + payload.len() + TAG;
        if scratch.len() < start + len {
            scratch.resize(2 * (start + len), 0);
        }
        viewer.header[1] = (viewer.header[1] & 0x7f) | u8::from(left == 0) << 7;
        viewer.header[2..4].copy_from_slice(&(viewer.index as u16).to_be_bytes());
        viewer.header[4..8].copy_from_slice(&frame.timestamp);
        let (header, rest) = scratch[start..start + len].split_at_mut(HEADER);
        let (body, tag) = rest.split_at_mut(payload.len());
        header.copy_from_slice(&viewer.header);
        // RFC 7714 §8.1: SSRC and index, XOR salt.
        let ssrc = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        let plain = (u128::from(ssrc) << 48) | u128::from(viewer.index);
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&(plain ^ viewer.salt).to_be_bytes()[4..]);
        viewer.index += 1;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(&*header);
        let _ = viewer
            .key
            .seal_out_of_place_scatter(nonce, aad, payload, body, &[], tag);
        *filled += len;
        if in_run == 0 {
            sealed[run] = ((start, 0), len as u16);
        }
        sealed[run].0.1 += len;
        in_run += 1;
        if runs.get(run) == Some(&in_run) {
            if in_run == 1 {
                sealed[run].1 = 0;
            }
            (run, in_run) = (run + 1, 0);
        }
    }
    sealed.into_iter().take(runs.len())
}

/// Packets per message: all of one length, but the last, which may be shorter. More runs aren't expected of the bench's
/// feed; what is left goes unsent.
fn runs(frame: &Frame) -> Vec<usize> {
    let mut runs: Vec<usize> = Vec::with_capacity(RUNS);
    let mut size = 0;
    let mut over = true;
    for packet in frame.packets() {
        let last = runs.len();
        if !over && packet.len() <= size && runs[last - 1] < SEGMENTS {
            runs[last - 1] += 1;
            over = packet.len() < size;
        } else if last < RUNS {
            runs.push(1);
            (size, over) = (packet.len(), false);
        } else {
            break;
        }
    }
    runs
}

fn segments(size: u16) -> Control {
    let mut control = Control([0; 24]);
    // cmsghdr { cmsg_len, cmsg_level, cmsg_type } of 64-bit Linux, and a u16.
    control.0[..8].copy_from_slice(&18_u64.to_ne_bytes());
    control.0[8..12].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
    control.0[12..16].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
    control.0[16..18].copy_from_slice(&size.to_ne_bytes());
    control
}

/// Session key and salt (right-aligned) of what we send (RFC 3711 §4.3.1, RFC 7714 §11).
fn session_keys(keys: &Keys) -> Option<(LessSafeKey, u128)> {
    if keys.profile != Profile::AeadAes128Gcm {
        return None;
    }
    let master = UnboundCipherKey::new(&AES_128, &keys.local_key).ok()?;
    let master = EncryptingKey::ctr(master).ok()?;
    let derive = |label: u8, out: &mut [u8]| {
        let mut iv = [0; 16];
        iv[..12].copy_from_slice(&keys.local_salt);
        iv[7] ^= label;
        master
            .less_safe_encrypt(out, EncryptionContext::Iv128(iv.into()))
            .ok()
            .map(drop)
    };
    let (mut key, mut salt) = ([0; 16], [0; 16]);
    derive(0, &mut key)?;
    derive(2, &mut salt[4..])?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
    Some((key, u128::from_be_bytes(salt)))
}
