//! H.264 profiles as SDP names them (RFC 6184 §8.1, Table 5), and which decoder takes which stream.

/// What a `profile-level-id` allows, its level left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    ConstrainedHigh,
    High,
    /// Anything else, by its profile_idc.
    Other(u8),
}

impl Profile {
    /// The profile of profile_idc and constraint flags (RFC 6184, Table 5).
    pub(super) fn of([profile_idc, flags, _]: [u8; 3]) -> Self {
        match (profile_idc, flags) {
            (0x42, flags) if flags & 0x40 != 0 => Self::ConstrainedBaseline,
            (0x4d, flags) if flags & 0x80 != 0 => Self::ConstrainedBaseline,
            (0x58, flags) if flags & 0xc0 == 0xc0 => Self::ConstrainedBaseline,
            (0x42, _) => Self::Baseline,
            (0x4d, _) => Self::Main,
            (0x64, flags) if flags & 0x0c == 0x0c => Self::ConstrainedHigh,
            (0x64, _) => Self::High,
            (other, _) => Self::Other(other),
        }
    }

    /// A decoder of `self` takes a stream of `stream` by the standard's own inclusions (H.264 Annex A.2).
    pub(super) fn decodes(self, stream: Self) -> bool {
        self == stream
            || match self {
                Self::ConstrainedBaseline => false,
                Self::Baseline | Self::Main => stream == Self::ConstrainedBaseline,
                Self::ConstrainedHigh => stream == Self::ConstrainedBaseline,
                Self::High => matches!(
                    stream,
                    Self::ConstrainedBaseline | Self::Main | Self::ConstrainedHigh
                ),
                Self::Other(_) => false,
            }
    }
}

/// Reads the six hexadecimal digits of a `profile-level-id`.
pub(super) fn read(text: &str) -> Option<[u8; 3]> {
    let hex = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = hex.then(|| u32::from_str_radix(text, 16).ok()).flatten()?;
    let [_, profile, flags, level] = number.to_be_bytes();
    Some([profile, flags, level])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_told_by_idc_and_constraint_flags() {
        let of = |text| Profile::of(read(text).expect("six digits"));
        assert_eq!(of("42e01f"), Profile::ConstrainedBaseline);
        assert_eq!(of("42C01F"), Profile::ConstrainedBaseline);
        assert_eq!(of("42001f"), Profile::Baseline);
        assert_eq!(of("4d001f"), Profile::Main);
        assert_eq!(of("4d401f"), Profile::Main);
        assert_eq!(of("640c1f"), Profile::ConstrainedHigh);
        assert_eq!(of("640028"), Profile::High);
        assert_eq!(of("f4001f"), Profile::Other(0xf4));
    }

    #[test]
    fn what_is_not_six_digits_is_no_profile() {
        for text in ["", "42e01", "42e01f0", "+2e01f", "42é1f", "xyzxyz"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_high_decoder_takes_main_but_not_the_other_way() {
        assert!(Profile::High.decodes(Profile::Main));
        assert!(!Profile::Main.decodes(Profile::High));
        assert!(!Profile::ConstrainedBaseline.decodes(Profile::Baseline));
    }
}
