//! Text into HTML: templates filled, hostile text escaped.

/// Puts each value in its place. One pass: a value that looks like a place stays text.
pub(super) fn fill(template: &str, places: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some(at) = rest.find("{{") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        match places.iter().find(|(place, _)| from.starts_with(place)) {
            Some((place, value)) => {
                out.push_str(value);
                rest = &from[place.len()..];
            }
            None => {
                out.push_str("{{");
                rest = &from[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Text for HTML, inside elements and quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control and bidirectional characters would rewrite what is around them.
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{LIST, PLAY, PUBLISH};
    use super::*;

    #[test]
    fn hostile_ids_stay_text() {
        let hostile = "<script>alert(1)</script>\"'&\u{202e}\n{{root}}";
        let escaped = escape(hostile);
        assert!(
            !escaped.contains(['<', '>', '"', '\'', '\n', '\u{202e}']),
            "{escaped}"
        );
        let html = fill(
            PLAY,
            &[
                ("{{root}}", "../"),
                ("{{id}}", &escaped),
                ("{{endpoint}}", "../whep/x"),
            ],
        );
        assert!(html.contains("&lt;script&gt;") && html.contains("{{root}}"));
        assert!(!html.contains("{{id}}") && !html.contains("{{endpoint}}"));
    }

    /// The policy forbids inline code: a page that holds any would not work.
    #[test]
    fn no_page_holds_inline_code_or_an_absolute_url() {
        for html in [LIST, PLAY, PUBLISH] {
            let lower = html.to_ascii_lowercase();
            assert!(!lower.contains("<style") && !lower.contains("style="));
            assert!(lower.matches("<script").count() == lower.matches("<script src=").count());
            for handler in [
                "onclick",
                "onload",
                "onerror",
                "javascript:",
                "src=\"/",
                "href=\"/",
                "http://",
                "https://",
            ] {
                assert!(!lower.contains(handler), "{handler}");
            }
        }
    }

    #[test]
    fn every_place_of_the_templates_is_filled() {
        let places = |html: &str| html.matches("{{").count();
        assert_eq!(places(&fill(LIST, &[("{{rows}}", "")])), 0);
        assert_eq!(
            places(&fill(
                PLAY,
                &[("{{root}}", ""), ("{{id}}", ""), ("{{endpoint}}", "")]
            )),
            0
        );
    }
}
