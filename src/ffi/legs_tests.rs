//! The stride, the two lengths and what is left alone.

use super::*;

fn leg(id: &'static str, args: &[&str]) -> Leg {
    Leg {
        id,
        kind: 1,
        rtp_port: 5004,
        payload_type: 97,
        clock_rate: 90_000,
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
    }
}

fn text(chars: &[c_char]) -> String {
    let bytes = chars.iter().map(|c| *c as u8).take_while(|b| *b != 0);
    String::from_utf8(bytes.collect()).expect("UTF-8")
}

#[test]
fn legs_are_written_a_stride_apart_and_the_lengths_are_exact() {
    // Newer, equal and older callers: larger, same and smaller structs.
    let ours = size_of::<corertc_leg>();
    for stride in [ours + 32, ours, 72] {
        let mut memory = vec![0xAAu8; stride * 3 + 8];
        let base = memory.as_mut_ptr().cast::<corertc_leg>();
        // SAFETY: within `memory`.
        unsafe { base.cast::<usize>().write_unaligned(stride) };
        let mut argv = [b'#' as c_char; 32];
        let (mut legs_len, mut argv_len) = (9, 9);
        let out = Legs::new(
            (base, 3, &raw mut legs_len),
            (argv.as_mut_ptr(), 32, &raw mut argv_len),
        )
        .expect("valid");
        assert_eq!(out.require((3, 32)), Ok(()));
        out.write(&[
            leg("corertc_video", &["-f", "rtp"]),
            leg("corertc_audio", &["x"]),
        ]);
        assert_eq!((legs_len, argv_len), (2, 9));
        let bytes: Vec<u8> = argv.iter().map(|c| *c as u8).collect();
        assert_eq!(&bytes[..10], b"-f\0rtp\0x\0#");
        for (index, id) in ["corertc_video", "corertc_audio"].into_iter().enumerate() {
            let at = index * stride;
            let size = usize::from_ne_bytes(memory[at..at + 8].try_into().expect("eight"));
            assert_eq!(size, stride.min(ours));
            assert!(memory[at + 8..].starts_with(id.as_bytes()));
            assert!(memory[at + size..at + stride].iter().all(|b| *b == 0xAA));
        }
        assert!(memory[2 * stride..].iter().all(|b| *b == 0xAA));
    }
}

#[test]
fn too_little_room_says_what_suffices_and_writes_nothing() {
    let mut leg: corertc_leg = describe(&leg("corertc_video", &[]));
    leg.size = size_of::<corertc_leg>();
    let mut argv = [b'#' as c_char; 4];
    for (legs_cap, argv_cap) in [(0, 4), (1, 0), (1, 3), (0, 0)] {
        let (mut legs_len, mut argv_len) = (9, 9);
        let out = Legs::new(
            (&raw mut leg, legs_cap, &raw mut legs_len),
            (argv.as_mut_ptr(), argv_cap, &raw mut argv_len),
        )
        .expect("valid");
        assert!(matches!(out.require((1, 4)), Err(Error::TooSmall(_))));
        assert_eq!((legs_len, argv_len), (1, 4));
        assert_eq!(text(&leg.id), "corertc_video");
        assert!(argv.iter().all(|c| *c as u8 == b'#'));
    }
}

#[test]
fn pointers_and_the_stride_are_checked() {
    let mut leg: corertc_leg = describe(&leg("corertc_video", &[]));
    let mut len = 9;
    let len = &raw mut len;
    let null = std::ptr::null_mut::<std::ffi::c_void>();
    let fault = |legs, argv| Legs::new(legs, argv).err().map(|e| e.to_string());
    leg.size = size_of::<corertc_leg>();
    let one = &raw mut leg;
    let starts = |text: Option<String>, name: &str| text.is_some_and(|t| t.starts_with(name));
    assert!(starts(
        fault((one, 1, null.cast()), (null.cast(), 0, len)),
        "legs_len"
    ));
    assert!(starts(
        fault((one, 1, len), (null.cast(), 0, null.cast())),
        "argv_len"
    ));
    assert!(starts(
        fault((null.cast(), 1, len), (null.cast(), 0, len)),
        "legs"
    ));
    assert!(starts(
        fault((one, 1, len), (null.cast::<c_char>(), 1, len)),
        "argv"
    ));
    assert!(starts(
        fault((one, usize::MAX, len), (null.cast(), 0, len)),
        "legs_cap"
    ));
    for size in [0, 7, 1 << 20] {
        // SAFETY: `one` points to `leg`.
        unsafe { (*one).size = size };
        assert!(starts(fault((one, 1, len), (null.cast(), 0, len)), "legs"));
    }
    let null_legs: (*mut corertc_leg, usize, *mut usize) = (null.cast::<corertc_leg>(), 0, len);
    assert_eq!(fault(null_legs, (null.cast::<c_char>(), 0, len)), None);
}
