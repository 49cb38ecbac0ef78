//! Narrow links, and wide ones that lose, from end to end on virtual time.

use std::time::Duration;

use super::narrow_sim::{Scene, Sim};

const SCENE: Scene = Scene {
    stream_bps: 800_000,
    link_bps: 600_000,
    queue_ms: 250,
    loss: 0,
    gop_frames: 50,
    nacks: true,
    seed: 1,
};
const SETTLED: Duration = Duration::from_secs(8);
const WINDOW: Duration = Duration::from_secs(3);
const WINDOWS: u32 = 30;

/// What was seen of a scene once it had settled.
#[derive(Debug)]
struct Seen {
    scene: Scene,
    turned: Vec<Duration>,
    frames: Vec<usize>,
    audio_loss: f64,
    /// Of the link.
    goodput: f64,
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
            for seed in 1..4 {
                let seen = seen(Scene {
                    stream_bps,
                    link_bps,
                    queue_ms,
                    seed,
                    ..SCENE
                });
                println!("{seen:?}");
            }
        }
    }
}
