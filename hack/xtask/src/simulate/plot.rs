//! A picture of how tests find good and bad releases.
//!
//! In: comparisons. Out: an SVG file. Never: a font, a script, or anything else from outside the file.

use std::fmt::Write;

use rollout::judge::real;
use rollout::simulate::rivals::{Comparison, Found, LOOKS};

/// The comparisons that are drawn, each in a panel.
const PANELS: [&str; 3] = ["no change, 0.1 % fail", "×4 of 0.1 %", "no change, 1 % of clients fail"];
/// The tests, and their colours.
const TESTS: [(&str, &str); 3] =
    [("threshold 99 %, 5 misses", "#b26a00"), ("z-test at each look", "#c62828"), ("Silverback", "#1565c0")];

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 50.0;
const GAP: f64 = 50.0;

/// Draws the percentage found worse over time.
pub fn draw(comparisons: &[Comparison]) -> String {
    let mut body = String::new();
    let mut left = LEFT;
    for name in PANELS {
        if let Some(row) = comparisons.iter().find(|row| row.name == name) {
            body += &panel(row, left);
        }
        left += WIDTH + GAP;
    }
    body += &legend();
    let (width, height) = (left, TOP + HEIGHT + 80.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<title>Releases that tests find worse, over time</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

fn panel(row: &Comparison, left: f64) -> String {
    let (right, bottom) = (left + WIDTH, TOP + HEIGHT);
    let kind = if row.worse { "found, right" } else { "found, wrong" };
    let mut text = format!("<text x=\"{left}\" y=\"{}\">{} ({kind})</text>\n", TOP - 14.0, row.name);
    for percent in [0, 25, 50, 75, 100] {
        let y = bottom - HEIGHT * f64::from(percent) / 100.0;
        let _ = writeln!(text, "<path d=\"M{left} {y}H{right}\" stroke=\"#dddddd\"/>");
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{percent} %</text>",
            left - 6.0,
            y + 4.0
        );
    }
    for minutes in [0, 10, 20, 30] {
        let x = left + WIDTH * f64::from(minutes) / 30.0;
        let _ = writeln!(
            text,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{minutes} min</text>",
            bottom + 18.0
        );
    }
    let found = [&row.threshold, &row.z_test, &row.judge];
    for (found, (_, colour)) in found.into_iter().zip(TESTS) {
        text += &curve(found, colour, left);
    }
    text
}

fn curve(found: &Found, colour: &str, left: f64) -> String {
    // As many points as looks, which are in the report; the axis is theirs.
    let step = WIDTH / real(LOOKS);
    let mut points = Vec::new();
    let mut x = left;
    for percent in &found.curve {
        points.push(format!("{x:.1},{:.1}", TOP + HEIGHT * (1.0 - percent / 100.0)));
        x += step;
    }
    let points = points.join(" ");
    format!("<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n")
}

fn legend() -> String {
    let mut text = String::new();
    let mut left = LEFT;
    let y = TOP + HEIGHT + 50.0;
    for (name, colour) in TESTS {
        let _ = writeln!(text, "<path d=\"M{left} {y}h24\" stroke=\"{colour}\" stroke-width=\"3\"/>");
        let _ = writeln!(text, "<text x=\"{}\" y=\"{}\">{name}</text>", left + 32.0, y + 4.0);
        left += 240.0;
    }
    text
}
