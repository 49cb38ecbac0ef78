//! The figures as a picture: a group of bars per link and number of viewers, one bar per server.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const LABELS: f64 = 110.0;
const BAR: f64 = 16.0;
const HEAD: f64 = 30.0;
const COLOURS: [&str; 6] = [
    "#1f6feb", "#8b949e", "#d29922", "#a371f7", "#3fb950", "#f85149",
];

/// The bars of one comparison.
pub struct Group {
    /// What was compared under.
    pub title: String,
    /// Server and microseconds.
    pub bars: Vec<(String, f64)>,
}

/// An SVG file.
#[must_use]
pub fn svg(groups: &[Group]) -> String {
    let height = |group: &Group| HEAD + BAR * group.bars.len() as f64;
    let total: f64 = groups.iter().map(height).sum::<f64>() + HEAD + 10.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {total}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"20\" font-weight=\"bold\">CPU of the server, microseconds per packet and viewer</text>\n"
    );
    let mut top = HEAD;
    for group in groups {
        let longest = group.bars.iter().map(|(_, us)| *us).fold(0.001, f64::max);
        let _ = writeln!(
            text,
            "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{}</text>",
            top + 20.0,
            escaped(&group.title)
        );
        for (index, (name, us)) in group.bars.iter().enumerate() {
            let y = top + HEAD + BAR * index as f64;
            let length = (WIDTH - LABELS - 60.0) * us / longest;
            let colour = COLOURS[index % COLOURS.len()];
            let _ = writeln!(
                text,
                "<text x=\"10\" y=\"{}\">{}</text><rect x=\"{LABELS}\" y=\"{y}\" width=\"{length:.1}\" height=\"{}\" \
                 fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\">{us:.2}</text>",
                y + 11.0,
                escaped(name),
                BAR - 3.0,
                LABELS + length + 6.0,
                y + 11.0
            );
        }
        top += height(group);
    }
    text.push_str("</svg>\n");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_width_and_names_are_escaped() {
        let group = Group {
            title: "veth".to_owned(),
            bars: vec![("a<b".to_owned(), 2.0), ("c".to_owned(), 1.0)],
        };
        let text = svg(&[group]);
        assert!(text.contains("a&lt;b"));
        assert!(text.contains("width=\"550.0\"") && text.contains("width=\"275.0\""));
    }
}
