//! Narrow links, and wide ones that lose, from end to end on virtual time.

use std::time::Duration;

use super::narrow_sim::{Scene, Sim};

const SCENE: Scene = Scene {
    stream_bps: 800_000,
    link_bps: 600_000,
    queue_ms: 250,
    policed: false,
    loss: 0,
    gop_frames: 50,
    nacks: true,
    seed: 1,
};
const SETTLED: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(3);
const WINDOWS: u32 = 30;

/// What was seen of a scene once it had settled.
#[derive(Debug)]
struct Seen {
    #[expect(dead_code, reason = "for messages")]
    scene: Scene,
    turned: Vec<Duration>,
    frames: Vec<usize>,
    audio_loss: f64,
    /// Of the link.
    goodput: f64,
}

impl Seen {
    /// Windows with hardly a frame, once it has had time to find its rate.
    fn few(&self) -> usize {
        self.frames[3..]
            .iter()
            .filter(|frames| **frames < 5)
            .count()
    }
}

fn seen(scene: Scene) -> Seen {
    let mut sim = Sim::new(scene);
    sim.run(SETTLED);
    let (audio, sent, good) = (sim.player.audio, sim.audio_sent, sim.player.good_bytes);
    let mut frames = Vec::new();
    for _ in 0..WINDOWS {
        let before = sim.player.shown.len();
        sim.run(WINDOW);
        frames.push(sim.player.shown.len() - before);
    }
    let time = WINDOW * WINDOWS;
    let audio_loss = 1.0 - (sim.player.audio - audio) as f64 / (sim.audio_sent - sent) as f64;
    let good_bps = (sim.player.good_bytes - good) as f64 * 8.0 / time.as_secs_f64();
    Seen {
        scene,
        turned: sim.turned,
        frames,
        audio_loss,
        goodput: good_bps / scene.link_bps as f64,
    }
}

#[test]
fn frames_keep_coming_and_audio_is_heard_over_a_narrow_link_of_any_width_and_queue() {
    for (stream_bps, link_bps) in [
        (800_000, 300_000),
        (800_000, 450_000),
        (800_000, 600_000),
        (800_000, 700_000),
        (4_000_000, 2_000_000),
    ] {
        for queue_ms in [50, 250, 1000] {
            for seed in 1..=12 {
                let seen = seen(Scene {
                    stream_bps,
                    link_bps,
                    queue_ms,
                    seed,
                    ..SCENE
                });
                assert!(seen.turned[0] < Duration::from_secs(5), "{seen:?}");
                assert!(seen.frames.iter().all(|frames| *frames >= 1), "{seen:?}");
                assert!(seen.few() <= 1, "{seen:?}");
                assert!(seen.audio_loss <= 0.02, "{seen:?}");
                assert!(seen.goodput >= 0.8, "{seen:?}");
            }
        }
    }
}

#[test]
fn where_nothing_is_asked_for_again_frames_keep_coming_too() {
    for seed in 1..=12 {
        let seen = seen(Scene {
            nacks: false,
            seed,
            ..SCENE
        });
        assert!(seen.few() <= 2, "{seen:?}");
        assert!(seen.audio_loss <= 0.02 && seen.goodput >= 0.8, "{seen:?}");
    }
}

#[test]
fn loss_that_repair_makes_up_for_is_no_narrow_link() {
    for (stream_bps, loss) in [(800_000, 20), (800_000, 50), (4_000_000, 50), (300_000, 50)] {
        for seed in 1..=40 {
            let seen = seen(Scene {
                stream_bps,
                link_bps: 20_000_000,
                loss,
                seed,
                ..SCENE
            });
            assert!(seen.turned.is_empty(), "{seen:?}");
            assert!(seen.frames.iter().all(|frames| *frames >= 65), "{seen:?}");
        }
    }
}

#[test]
fn a_narrow_link_that_also_loses_at_random_is_used_and_shows_frames() {
    for seed in 1..=12 {
        let seen = seen(Scene {
            loss: 50,
            seed,
            ..SCENE
        });
        assert!(seen.frames.iter().all(|frames| *frames >= 1), "{seen:?}");
        assert!(seen.few() <= 1, "{seen:?}");
        assert!(seen.audio_loss <= 0.08 && seen.goodput >= 0.6, "{seen:?}");
    }
}

#[test]
fn a_link_that_loses_a_fifth_whatever_is_sent_is_let_alone_after_a_few_tries() {
    let mut narrow = 0;
    for seed in 1..=12 {
        let mut sim = Sim::new(Scene {
            link_bps: 20_000_000,
            loss: 200,
            seed,
            ..SCENE
        });
        for _ in 0..240 {
            sim.run(Duration::from_secs(1));
            narrow += u32::from(sim.thinning.pace_bps().is_some());
        }
        assert!(sim.turned.len() <= 2, "seed {seed}: {:?}", sim.turned);
    }
    assert!(narrow < 12 * 30, "{narrow} of {} s", 12 * 240);
}

#[test]
fn a_link_that_becomes_wide_gets_everything_again_and_one_that_becomes_narrow_less() {
    for seed in 1..=12 {
        let mut sim = Sim::new(Scene { seed, ..SCENE });
        sim.run(Duration::from_secs(20));
        assert!(sim.thinning.pace_bps().is_some(), "seed {seed}");
        sim.scene.link_bps = 10_000_000;
        sim.run(Duration::from_secs(50));
        assert_eq!(sim.thinning.pace_bps(), None, "seed {seed}");
        sim.scene.link_bps = 600_000;
        let before = sim.turned.len();
        sim.run(Duration::from_secs(5));
        assert_eq!(sim.turned.len(), before + 1, "seed {seed}");
        sim.scene.link_bps = 300_000;
        sim.run(Duration::from_secs(8));
        let (shown, audio) = (sim.player.shown.len(), sim.player.audio);
        sim.run(Duration::from_secs(9));
        assert!(sim.player.shown.len() >= shown + 9, "seed {seed}");
        assert!(sim.player.audio >= audio + 400, "seed {seed}");
    }
}

#[test]
fn a_long_group_of_pictures_shows_a_part_of_each() {
    for seed in 1..=12 {
        let seen = seen(Scene {
            gop_frames: 250,
            seed,
            ..SCENE
        });
        let of_gop = |windows: &[usize]| windows.iter().sum::<usize>();
        // 10 s: the lag of two seconds is reached after six.
        assert!(
            seen.frames.windows(4).all(|four| of_gop(four) >= 60),
            "{seen:?}"
        );
        assert!(seen.audio_loss <= 0.02, "{seen:?}");
    }
}

#[test]
fn an_outage_on_a_narrow_link_is_over_when_it_is_over() {
    for seed in 1..=12 {
        let mut sim = Sim::new(Scene { seed, ..SCENE });
        sim.run(Duration::from_secs(20));
        sim.scene.loss = 1000;
        sim.run(Duration::from_secs(4));
        sim.scene.loss = 0;
        sim.run(Duration::from_secs(3));
        let (shown, audio) = (sim.player.shown.len(), sim.player.audio);
        sim.run(WINDOW);
        assert!(sim.player.shown.len() >= shown + 10, "seed {seed}");
        assert!(sim.player.audio >= audio + 145, "seed {seed}");
    }
}

#[test]
fn frames_keep_coming_where_what_is_too_much_is_lost_without_ever_waiting() {
    for link_bps in [300_000, 450_000, 600_000, 700_000] {
        for queue_ms in [50, 250] {
            for seed in 1..=12 {
                let seen = seen(Scene {
                    link_bps,
                    queue_ms,
                    policed: true,
                    seed,
                    ..SCENE
                });
                assert!(seen.frames.iter().all(|frames| *frames >= 1), "{seen:?}");
                assert!(seen.few() <= 1, "{seen:?}");
                assert!(seen.audio_loss <= 0.02, "{seen:?}");
                assert!(seen.goodput >= 0.8, "{seen:?}");
            }
        }
    }
}
