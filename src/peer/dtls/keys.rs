//! From the DTLS exporter to SRTP master keys, by role (RFC 5764 §4.2).

use super::ssl::{self, Session};
use super::{DtlsError, Role};
use crate::peer::srtp::{Keys, Profile};

const LABEL: &str = "EXTRACTOR-dtls_srtp";
/// Two keys and two salts of the largest profile.
const LONGEST: usize = 2 * (32 + 12);

/// Takes the keys of an established association; the scratch copy is wiped.
pub(super) fn export(
    session: &mut Session,
    profile: Profile,
    role: Role,
) -> Result<Keys, DtlsError> {
    let length = 2 * (profile.key_len() + profile.salt_len());
    let mut scratch = [0_u8; LONGEST];
    let material = &mut scratch[..length];
    let exported = session.export(LABEL, material);
    let keys = split(material, profile, role);
    ssl::cleanse(&mut scratch);
    exported.map(|()| keys)
}

/// client_write_SRTP_master_key, server key, client salt, server salt, in this order.
fn split(material: &[u8], profile: Profile, role: Role) -> Keys {
    let (keys, salts) = material.split_at(2 * profile.key_len());
    let (client_key, server_key) = keys.split_at(profile.key_len());
    let (client_salt, server_salt) = salts.split_at(profile.salt_len());
    let (local_key, local_salt, remote_key, remote_salt) = match role {
        Role::Client => (client_key, client_salt, server_key, server_salt),
        Role::Server => (server_key, server_salt, client_key, client_salt),
    };
    Keys {
        profile,
        local_key: local_key.to_vec(),
        local_salt: local_salt.to_vec(),
        remote_key: remote_key.to_vec(),
        remote_salt: remote_salt.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exporter_gives_client_key_server_key_client_salt_server_salt() {
        let profile = Profile::Aes128CmHmacSha1_80;
        let material: Vec<u8> = (0..60).collect();
        let client = split(&material, profile, Role::Client);
        assert_eq!(client.local_key, (0..16).collect::<Vec<u8>>());
        assert_eq!(client.remote_key, (16..32).collect::<Vec<u8>>());
        assert_eq!(client.local_salt, (32..46).collect::<Vec<u8>>());
        assert_eq!(client.remote_salt, (46..60).collect::<Vec<u8>>());
        let server = split(&material, profile, Role::Server);
        assert_eq!(server.local_key, client.remote_key);
        assert_eq!(server.remote_salt, client.local_salt);
    }
}
