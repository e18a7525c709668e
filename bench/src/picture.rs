//! The ratios as an SVG picture: a bar each, on a logarithmic scale whose middle line is the peer.

use crate::measure::Measurement;
use std::fmt::Write;

const ROW: f64 = 26.0;
const NAMES_WIDTH: f64 = 330.0;
const BARS_WIDTH: f64 = 480.0;
const MARGIN: f64 = 70.0;
/// The scale goes from 1/16 to 16.
const OCTAVES: f64 = 4.0;

/// Where a ratio lies on the scale.
fn x_of(ratio: f64) -> f64 {
    let octaves = ratio.max(1e-9).log2().clamp(-OCTAVES, OCTAVES);
    NAMES_WIDTH + BARS_WIDTH * (octaves + OCTAVES) / (2.0 * OCTAVES)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// The picture. Writing to a String cannot fail, so results are dropped.
pub fn svg(measurements: &[Measurement]) -> String {
    let shown: Vec<(&Measurement, f64)> =
        measurements.iter().filter_map(|m| Some((m, m.ratio()?))).collect();
    let width = NAMES_WIDTH + BARS_WIDTH + MARGIN;
    let height = ROW * (shown.len() as f64 + 2.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for power in -4..=4 {
        let ratio = 2_f64.powi(power);
        let (x, bottom) = (x_of(ratio), height - ROW);
        let stroke = if power == 0 { "#333" } else { "#ddd" };
        let _ = writeln!(out, "<path d=\"M{x:.1} 8V{bottom:.1}\" stroke=\"{stroke}\"/>");
        let label = if power < 0 { format!("1/{}x", 1 << -power) } else { format!("{ratio}x") };
        let y = height - 9.0;
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"#555\">{label}</text>"
        );
    }
    for (at, (measured, ratio)) in shown.iter().enumerate() {
        let y = ROW * (at as f64 + 0.6);
        let (one, end) = (x_of(1.0), x_of(*ratio));
        let (left, length) = (one.min(end), (end - one).abs().max(1.0));
        let is_bad = measured.misses() || (measured.target.is_none() && *ratio < 1.0);
        let fill = if is_bad { "#c26a3d" } else { "#2a7f62" };
        let (name_x, text_y) = (NAMES_WIDTH - 10.0, y + 13.0);
        let name = escaped(&measured.name);
        let _ = writeln!(
            out,
            "<text x=\"{name_x}\" y=\"{text_y:.1}\" text-anchor=\"end\">{name}</text>\n\
             <rect x=\"{left:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"18\" fill=\"{fill}\"/>"
        );
        let (x, anchor) = if end >= one { (end + 5.0, "start") } else { (end - 5.0, "end") };
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{text_y:.1}\" text-anchor=\"{anchor}\">{ratio:.2}x</text>"
        );
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Better;

    #[test]
    fn a_bar_for_each_ratio_on_its_side_of_the_line() {
        let mut faster = Measurement::new("a < b", "1/s", Better::Higher);
        (faster.terrane, faster.peer) = (vec![4.0], vec![2.0]);
        let unmeasured = Measurement::new("none", "s", Better::Lower);
        let picture = svg(&[faster, unmeasured]);
        assert!(picture.contains("a &lt; b") && picture.contains("2.00x"));
        assert!(!picture.contains("none"));
        assert!(x_of(0.5) < x_of(1.0) && x_of(1.0) < x_of(2.0) && x_of(100.0) == x_of(16.0));
    }
}
