//! Medians, percentiles and the tables of the programs.

use std::io::Write;

use serde_json::Value;

/// The middle value (the mean of the two middle ones); 0 for none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        len if len % 2 == 1 => sorted[len / 2],
        len => f64::midpoint(sorted[len / 2 - 1], sorted[len / 2]),
    }
}

/// The value that `share` (0 to 1) of the sorted values don't exceed; 0 for none.
#[must_use]
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(rank.clamp(1, sorted.len().max(1)) - 1)
        .copied()
        .unwrap_or(0.0)
}

/// Prints rows under their heads as a Markdown table.
pub fn table(heads: &[&str], rows: &[Vec<String>]) {
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(String::len).fold(heads[column].len(), usize::max)
        })
        .collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths);
        let padded: Vec<String> = padded
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        println!("| {} |", padded.join(" | "));
    };
    line(
        &heads
            .iter()
            .map(|&head| head.to_owned())
            .collect::<Vec<_>>(),
    );
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    line(&rule);
    rows.iter().for_each(|row| line(row));
}

/// Prints the figures as one line of JSON, and appends it to `--json FILE` where that was given.
pub fn json(figures: &Value) {
    println!("{figures}");
    if let Some(path) = argument("--json") {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{figures}")) {
            eprintln!("{path}: {error}");
        }
    }
}

/// The value after `name` on the command line.
#[must_use]
pub fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

/// The number after `name` on the command line, or `default`.
#[must_use]
pub fn number(name: &str, default: usize) -> usize {
    argument(name)
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// The numbers after `name` on the command line, separated by commas, or `default` alone.
#[must_use]
pub fn numbers(name: &str, default: usize) -> Vec<usize> {
    let given = argument(name).unwrap_or_default();
    let numbers: Vec<usize> = given
        .split(',')
        .filter_map(|text| text.parse().ok())
        .collect();
    if numbers.is_empty() {
        vec![default]
    } else {
        numbers
    }
}
