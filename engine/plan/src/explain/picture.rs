//! One plan tree as SVG: boxes with the root on top, arrows the way rows flow, heat by each node's share of the time.

use std::fmt::Write;

use super::html::escape;
use super::text::is_misestimate;
use super::{DescribedNode, bytes, duration, grouped};

const BOX_WIDTH: f64 = 250.0;
const BOX_HEIGHT: f64 = 86.0;
const GAP_X: f64 = 26.0;
const GAP_Y: f64 = 46.0;
/// Room around the picture, so that no stroke is cut.
const MARGIN: f64 = 8.0;
/// Characters that fit on a line of a box, by its font.
const NAME_CHARACTERS: usize = 26;
const DETAIL_CHARACTERS: usize = 38;

/// A box with its place.
struct Placed<'a> {
    node: &'a DescribedNode,
    x: f64,
    y: f64,
    /// Index of the parent's box.
    parent: Option<usize>,
    /// Which input of its parent it is, and of how many.
    input: (usize, usize),
}

/// Appends the picture of the tree under `root`; `total` is the worker time that shares are of.
pub(super) fn draw_tree(root: &DescribedNode, total: u64, page: &mut String) {
    let mut boxes = Vec::new();
    let mut next_x = 0.0;
    place(root, 0, None, (0, 1), &mut next_x, &mut boxes);
    let width = (next_x - GAP_X).max(BOX_WIDTH) + 2.0 * MARGIN;
    let height = boxes.iter().map(|b| b.y + BOX_HEIGHT).fold(0.0, f64::max) + 2.0 * MARGIN;
    let _ = write!(
        page,
        "<div class=\"scroll\"><svg class=\"plan\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"{0:.0} {0:.0} {width:.0} {height:.0}\" role=\"img\">",
        -MARGIN
    );
    page.push_str(ARROW);
    for b in &boxes {
        if let Some(parent) = b.parent.map(|p| &boxes[p]) {
            edge(b, parent, page);
        }
    }
    boxes.iter().for_each(|b| draw(b, total, page));
    page.push_str("</svg></div>");
}

const ARROW: &str = "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"6.5\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" class=\"arrowhead\"/></marker></defs>";

/// Leaves take the next free place, parents stand over the middle of their inputs. Returns the index of the node's box.
fn place<'a>(
    node: &'a DescribedNode,
    depth: usize,
    parent: Option<usize>,
    input: (usize, usize),
    next_x: &mut f64,
    boxes: &mut Vec<Placed<'a>>,
) -> usize {
    let own = boxes.len();
    boxes.push(Placed { node, x: 0.0, y: depth as f64 * (BOX_HEIGHT + GAP_Y), parent, input });
    let count = node.children.len();
    let children: Vec<usize> = node
        .children
        .iter()
        .enumerate()
        .map(|(i, child)| place(child, depth + 1, Some(own), (i, count), next_x, boxes))
        .collect();
    boxes[own].x = match (children.first(), children.last()) {
        (Some(&first), Some(&last)) => (boxes[first].x + boxes[last].x) / 2.0,
        _ => {
            let x = *next_x;
            *next_x += BOX_WIDTH + GAP_X;
            x
        }
    };
    own
}

/// An arrow from a child up to its parent, thicker with the logarithm of the rows that pass; a join's build input is dashed.
fn edge(child: &Placed<'_>, parent: &Placed<'_>, page: &mut String) {
    let (position, count) = child.input;
    // Arrows end apart from each other, left to right in the order of the inputs.
    let share = (position as f64 + 1.0) / (count as f64 + 1.0);
    let (x1, y1) = (child.x + BOX_WIDTH / 2.0, child.y - 1.0);
    let (x2, y2) = (parent.x + BOX_WIDTH * share, parent.y + BOX_HEIGHT + 3.0);
    let middle = (y1 + y2) / 2.0;
    let rows = child.node.metrics.as_ref().map_or(child.node.estimated_rows, |m| Some(m.rows as f64));
    let thickness = 1.0 + rows.unwrap_or(1.0).max(1.0).log10() * 0.45;
    let role = role(parent.node, child.input);
    let class = if role == "build" { "edge build" } else { "edge" };
    let _ = write!(
        page,
        "<path class=\"{class}\" d=\"M{x1:.1} {y1:.1} C{x1:.1} {middle:.1} {x2:.1} {middle:.1} {x2:.1} {y2:.1}\" stroke-width=\"{thickness:.1}\" marker-end=\"url(#arrow)\"/>"
    );
    let text = match (rows, role) {
        (Some(rows), "") => short(rows),
        (Some(rows), role) => format!("{role} · {}", short(rows)),
        (None, role) => role.to_string(),
    };
    // Beside the arrow, on the side from which it bends away.
    let (x, anchor) = if x2 > x1 + 1.0 { (x1 - 9.0, "end") } else { (x1 + 9.0, "start") };
    let _ = write!(
        page,
        "<text class=\"flow\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
        y1 - 6.0,
        escape(&text)
    );
}

/// What an input is to its parent, where that is worth telling.
fn role(parent: &DescribedNode, (position, count): (usize, usize)) -> &'static str {
    match (count, position) {
        (2, 0) if parent.description.name.contains("Join") => "probe",
        (2, 1) if parent.description.name.contains("Join") => "build",
        _ => "",
    }
}

fn draw(placed: &Placed<'_>, total: u64, page: &mut String) {
    let node = placed.node;
    let name = &node.description.name;
    let share = node.metrics.as_ref().map(|m| m.nanos as f64 / total as f64);
    let _ = write!(
        page,
        "<g class=\"node {}\" data-node=\"{}\" tabindex=\"0\" transform=\"translate({:.1} {:.1})\" style=\"--heat:{:.0}%\">",
        class(name),
        node.number,
        placed.x,
        placed.y,
        share.unwrap_or(0.0).clamp(0.0, 1.0).sqrt() * 78.0
    );
    let _ = write!(
        page,
        "<rect class=\"box\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"7\"/><rect class=\"strip\" width=\"5\" height=\"{BOX_HEIGHT}\" rx=\"2.5\"/><text x=\"15\" y=\"21\" class=\"name\">{}</text>",
        escape(&cut(name, NAME_CHARACTERS))
    );
    if let Some(share) = share {
        let _ = write!(page, "<text x=\"{:.0}\" y=\"21\" class=\"share\">{}</text>", BOX_WIDTH - 11.0, percent(share));
    }
    for (line, text) in wrap(&details(node).join("; ")).iter().enumerate() {
        let _ = write!(page, "<text x=\"15\" y=\"{}\" class=\"detail\">{}</text>", 38 + line * 14, escape(text));
    }
    let _ = write!(page, "<text x=\"15\" y=\"75\" class=\"figures\">{}</text>", figures(node));
    page.push_str("</g>");
}

/// Rows, time and memory of a box's last line; a bad estimate is marked.
fn figures(node: &DescribedNode) -> String {
    let Some(metrics) = &node.metrics else {
        return node.estimated_rows.map(|rows| format!("~{} rows expected", short(rows))).unwrap_or_default();
    };
    let text = format!("{} rows · {}", short(metrics.rows as f64), duration(metrics.nanos));
    match node.estimated_rows {
        // The line has room for one of both.
        Some(estimated) if is_misestimate(estimated, metrics.rows) => {
            format!("{text}<tspan class=\"warn\"> · est. {}</tspan>", short(estimated))
        }
        _ if metrics.bytes_reserved > 0 => format!("{text} · {}", bytes(metrics.bytes_reserved)),
        _ => text,
    }
}

/// The colour class of an operator.
fn class(name: &str) -> &'static str {
    let is = |words: &[&str]| words.iter().any(|w| name.contains(w));
    if is(&["Join"]) {
        "join"
    } else if is(&["Aggregate", "Distinct"]) {
        "aggregate"
    } else if is(&["Sort", "TopN", "Window", "Limit"]) {
        "order"
    } else if is(&["Scan", "Values", "OneRow", "NoRows"]) {
        "scan"
    } else {
        "pass"
    }
}

/// `label: text` of every detail.
pub(super) fn details(node: &DescribedNode) -> Vec<String> {
    let line =
        |(label, text): &(&str, String)| if label.is_empty() { text.clone() } else { format!("{label}: {text}") };
    node.description.details.iter().map(line).collect()
}

/// `0.4%`, `12%`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 9.95 {
        format!("{percent:.0}%")
    } else if percent >= 0.05 {
        format!("{percent:.1}%")
    } else {
        String::new()
    }
}

/// Rows in few characters: `812`, `12.3 K`, `6.0 M`; exact numbers are in the details.
fn short(rows: f64) -> String {
    match rows {
        0.0..10_000.0 => grouped(rows.round() as u64),
        10_000.0..1e6 => format!("{:.1} K", rows / 1e3),
        1e6..1e9 => format!("{:.1} M", rows / 1e6),
        _ => format!("{:.1} G", rows / 1e9),
    }
}

fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        text.to_string()
    } else {
        text.chars().take(characters - 1).chain("…".chars()).collect()
    }
}

/// At most two lines, broken at a space where there is one near the end.
fn wrap(text: &str) -> Vec<String> {
    if text.chars().count() <= DETAIL_CHARACTERS {
        return if text.is_empty() { Vec::new() } else { vec![text.to_string()] };
    }
    let limit = text.char_indices().nth(DETAIL_CHARACTERS).map_or(text.len(), |(i, _)| i);
    let at = text[..limit].rfind(' ').filter(|&space| space > limit / 2).unwrap_or(limit);
    vec![text[..at].to_string(), cut(text[at..].trim_start(), DETAIL_CHARACTERS)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_wrapped_at_characters() {
        assert_eq!(cut(&"é".repeat(40), 10).chars().count(), 10);
        assert_eq!(wrap(""), Vec::<String>::new());
        assert_eq!(wrap("short"), ["short"]);
        let lines = wrap(&"é".repeat(200));
        assert_eq!(lines.iter().map(|l| l.chars().count()).collect::<Vec<_>>(), [DETAIL_CHARACTERS; 2]);
        assert_eq!(wrap(&"word ".repeat(8))[1], "word ");
    }

    #[test]
    fn rows_are_told_in_few_characters() {
        assert_eq!([0.4, 9_999.0, 12_345.0, 6_001_215.0, 2e9].map(short), ["0", "9,999", "12.3 K", "6.0 M", "2.0 G"]);
    }
}
