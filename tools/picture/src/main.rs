// SPDX-License-Identifier: GPL-2.0

//! A filter that draws the output of a terminal, with its colours, as SVG. `make picture` makes
//! `docs/knetstat.svg` with it.

use std::io::{self, Read, Write};

/// Draws text with ANSI escape sequences. Lines of a terminal end with CR LF.
fn draw(output: &str) -> String {
    // The colours of VGA are too dark to read on black.
    let term = anstyle_svg::Term::new().palette(anstyle_svg::WIN10_CONSOLE);
    let mut svg = term.render_svg(&output.replace('\r', ""));
    if !svg.ends_with('\n') {
        svg.push('\n');
    }
    svg
}

fn main() -> io::Result<()> {
    let mut output = String::new();
    io::stdin().read_to_string(&mut output)?;
    io::stdout().write_all(draw(&output).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn text_stays_text() {
        let svg = draw("\x1b[1mA<B\x1b[0m & C\r\n");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("A&lt;B") && svg.contains("&amp; C"));
        assert!(!svg.contains(['\x1b', '\r']));
    }
}
