//! Published vectors: RFC 3711 appendix B, RFC 7714 §16 and §17, and the packets of libsrtp's own tests.

use aws_lc_rs::cipher::EncryptionContext;
use zeroize::Zeroizing;

use super::derive::{Master, SessionKeys, Usage, counter_mode};
use super::transform::Transform;
use super::{Inbound, Keys, Outbound, Profile};

const MASTER_KEY: &str = "E1F97A0D3E018BE0D64FA32C06DE4139";
const MASTER_SALT: &str = "0EC675AD498AFEEBB6960B3AABE6";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn gcm_transform(profile: Profile) -> Transform {
    let mut session = SessionKeys {
        key: Zeroizing::new([0; 32]),
        auth: Zeroizing::new([0; 20]),
        salt: Zeroizing::new([0; 14]),
    };
    for (i, byte) in session.key.iter_mut().enumerate() {
        *byte = i as u8;
    }
    session.salt[..12].copy_from_slice(b"Quid pro quo");
    Transform::of_session(profile, &session).unwrap()
}

#[test]
fn rfc_3711_b3_key_derivation() {
    let profile = Profile::Aes128CmHmacSha1_80;
    let master = Master::new(profile, &hex(MASTER_KEY), &hex(MASTER_SALT)).unwrap();
    let session = master.session(Usage::Rtp).unwrap();
    assert_eq!(
        session.key[..16],
        hex("C61E7A93744F39EE10734AFE3FF7A087")[..]
    );
    assert_eq!(session.salt[..], hex("30CBBC08863D8C85D49DB34A9AE1")[..]);
    let auth = hex(
        "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE
        E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF
        17C2041E474035766B68642C59BBFC2F34DB60DBDFB2DC68",
    );
    assert_eq!(session.auth[..], auth[..20]);
    let mut whole = vec![0; auth.len()];
    master.derive(1, &mut whole).unwrap();
    assert_eq!(whole, auth);
}

#[test]
fn rfc_3711_b2_keystream() {
    let key = counter_mode(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap();
    let iv: [u8; 16] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
    let mut stream = vec![0; 0xff02 * 16];
    key.less_safe_encrypt(&mut stream, EncryptionContext::Iv128(iv.into()))
        .unwrap();
    assert_eq!(
        stream[..48],
        hex(
            "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB
            41E95B3BB0A2E8DD477901E4FCA894C0"
        )[..]
    );
    assert_eq!(
        stream[0xfeff * 16..],
        hex(
            "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE
            6A2CC3787889374FBEB4C81B17BA6C44"
        )[..]
    );
}

const GALLIA: &str =
    "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e2070
    61727465732074726573";

#[test]
fn rfc_7714_16_srtp() {
    let cases = [
        (
            Profile::AeadAes128Gcm,
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf
            8833899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            Profile::AeadAes256Gcm,
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799
            b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ];
    for (profile, expected) in cases {
        let (transform, plain, expected) = (gcm_transform(profile), hex(GALLIA), hex(expected));
        let (header, payload) = plain.split_at(12);
        let mut sealed = vec![0; expected.len()];
        transform
            .seal_rtp(header, payload, 0xf17b, &mut sealed)
            .unwrap();
        assert_eq!(sealed, expected, "{profile:?}");
        let plain_len = transform.open_rtp(0x5501_a0b2, &mut sealed, 12, 0xf17b);
        assert_eq!(plain_len, Ok(plain.len()));
        assert_eq!(sealed[..plain.len()], plain);
    }
}

const MARS: &str =
    "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeef
    deadbeefdeadbeefdeadbeef";
const MARS_SSRC: u32 = 0x4d61_7273;

#[test]
fn rfc_7714_17_1_and_2_srtcp() {
    let cases = [
        (
            Profile::AeadAes128Gcm,
            "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded
            0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
        ),
        (
            Profile::AeadAes256Gcm,
            "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de047
            6f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
        ),
    ];
    for (profile, expected) in cases {
        let (transform, plain, expected) = (gcm_transform(profile), hex(MARS), hex(expected));
        let mut sealed = vec![0; expected.len()];
        transform.seal_rtcp(&plain, 0x5d4, &mut sealed).unwrap();
        assert_eq!(sealed, expected, "{profile:?}");
        let word = transform.rtcp_word(&sealed).unwrap();
        assert_eq!(word, 0x8000_05d4);
        let plain_len = transform.open_rtcp(MARS_SSRC, &mut sealed, word);
        assert_eq!(plain_len, Ok(plain.len()));
        assert_eq!(sealed[..plain.len()], plain);
    }
}

#[test]
fn rfc_7714_17_3_srtcp_tagged_but_not_encrypted() {
    let mut sealed = hex(MARS);
    sealed.extend(hex("841dd9683dd78ec92ae58790125f62b3000005d4"));
    let transform = gcm_transform(Profile::AeadAes128Gcm);
    assert_eq!(transform.rtcp_word(&sealed), Some(0x5d4));
    let plain_len = transform.open_rtcp(MARS_SSRC, &mut sealed, 0x5d4);
    assert_eq!(plain_len.map(|len| sealed[..len].to_vec()), Ok(hex(MARS)));
}

/// Seals and opens one packet of each kind, master keys given: the derivation is in the vector too.
fn check_libsrtp(profile: Profile, key: &str, salt: &str, srtp: &str, srtcp: &str) {
    let keys = Keys {
        profile,
        local_key: hex(key),
        local_salt: hex(salt),
        remote_key: hex(key),
        remote_salt: hex(salt),
    };
    let mut outbound = Outbound::new(&keys).unwrap();
    let mut inbound = Inbound::new(&keys).unwrap();

    let rtp = hex("800f1234decafbadcafebabeabababababababababababababababab");
    let mut sealed = Vec::new();
    outbound.seal_rtp(&rtp[..12], &rtp[12..], 0x1234, &mut sealed);
    assert_eq!(sealed, hex(srtp));
    assert_eq!(inbound.open_rtp(&mut sealed), Ok(rtp.len()));
    assert_eq!(sealed[..rtp.len()], rtp);

    let rtcp = hex("81c8000bcafebabeabababababababababababababababab");
    let mut sealed = Vec::new();
    outbound.seal_rtcp(&rtcp, &mut sealed);
    assert_eq!(sealed, hex(srtcp));
    assert_eq!(inbound.open_rtcp(&mut sealed), Ok(()));
    assert_eq!(sealed, rtcp);
}

#[test]
fn libsrtp_packets_of_aes128_cm_hmac_sha1_80() {
    check_libsrtp(
        Profile::Aes128CmHmacSha1_80,
        MASTER_KEY,
        MASTER_SALT,
        "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb",
        "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798",
    );
}

#[test]
fn libsrtp_packets_of_aead_aes_128_gcm() {
    check_libsrtp(
        Profile::AeadAes128Gcm,
        "000102030405060708090a0b0c0d0e0f",
        "a0a1a2a3a4a5a6a7a8a9aaab",
        "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392",
        "81c8000bcafebabec98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123ba88ce61e80000001",
    );
}
