//! One self-contained page: the plan as boxes and arrows, coloured by each node's share of the time.

use std::fmt::Write;

use super::{DescribedNode, Measurement, Section, bytes, duration, grouped};

const BOX_WIDTH: f64 = 232.0;
const BOX_HEIGHT: f64 = 78.0;
const GAP_X: f64 = 22.0;
const GAP_Y: f64 = 42.0;
/// Characters that fit on a line of a box.
const LINE_CHARACTERS: usize = 34;

pub(super) fn render(sections: &[Section], measured: Option<&Measurement>) -> String {
    let total = measured.map_or(1, Measurement::total_nanos);
    let mut page = String::from(HEAD);
    if let Some(measured) = measured {
        let _ = write!(
            page,
            "<p>Elapsed {}, worker time {}. Colour: share of the worker time.</p>",
            duration(measured.elapsed_nanos),
            duration(total)
        );
    }
    for section in sections {
        let _ = write!(page, "<h2>{}</h2>", escape(&section.title));
        picture(&section.root, total, &mut page);
    }
    page.push_str("<p class=\"hint\">Rows flow upwards; of a join's inputs the right one is built first. Hover over a box for all its details.</p></body></html>\n");
    page
}

/// A box with its place.
struct Placed<'a> {
    node: &'a DescribedNode,
    x: f64,
    y: f64,
    /// Index of the parent's box.
    parent: Option<usize>,
}

fn picture(root: &DescribedNode, total: u64, page: &mut String) {
    let mut boxes = Vec::new();
    let mut next_x = 0.0;
    place(root, 0, None, &mut next_x, &mut boxes);
    let width = next_x.max(BOX_WIDTH);
    let height = boxes.iter().map(|b| b.y + BOX_HEIGHT).fold(0.0, f64::max);
    let _ = write!(
        page,
        "<svg width=\"{0:.0}\" height=\"{1:.0}\" viewBox=\"-2 -2 {0:.0} {1:.0}\" xmlns=\"http://www.w3.org/2000/svg\">",
        width + 4.0,
        height + 4.0
    );
    for b in &boxes {
        if let Some(parent) = b.parent.map(|p| &boxes[p]) {
            edge(b, parent, page);
        }
    }
    boxes.iter().for_each(|b| draw(b, total, page));
    page.push_str("</svg>");
}

/// Leaves take the next free place, parents stand over the middle of their inputs. Returns the index of the node's box.
fn place<'a>(
    node: &'a DescribedNode,
    depth: usize,
    parent: Option<usize>,
    next_x: &mut f64,
    boxes: &mut Vec<Placed<'a>>,
) -> usize {
    let own = boxes.len();
    boxes.push(Placed { node, x: 0.0, y: depth as f64 * (BOX_HEIGHT + GAP_Y), parent });
    let children: Vec<usize> = node.children.iter().map(|c| place(c, depth + 1, Some(own), next_x, boxes)).collect();
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

fn edge(child: &Placed<'_>, parent: &Placed<'_>, page: &mut String) {
    let (x1, y1) = (child.x + BOX_WIDTH / 2.0, child.y);
    let (x2, y2) = (parent.x + BOX_WIDTH / 2.0, parent.y + BOX_HEIGHT);
    let rows = child.node.metrics.as_ref().map_or(child.node.estimated_rows.unwrap_or(1.0), |m| m.rows as f64);
    // Thicker with the logarithm of the rows that pass.
    let thickness = 1.0 + rows.max(1.0).log10() * 0.6;
    let middle = (y1 + y2) / 2.0;
    let _ = write!(
        page,
        "<path class=\"edge\" d=\"M{x1:.0} {y1:.0} C{x1:.0} {middle:.0} {x2:.0} {middle:.0} {x2:.0} {y2:.0}\" stroke-width=\"{thickness:.1}\"/>"
    );
}

fn draw(placed: &Placed<'_>, total: u64, page: &mut String) {
    let node = placed.node;
    let share = node.metrics.as_ref().map_or(0.0, |m| m.nanos as f64 / total as f64);
    let details: Vec<String> = node
        .description
        .details
        .iter()
        .map(|(label, text)| if label.is_empty() { text.clone() } else { format!("{label}: {text}") })
        .collect();
    let estimate = node.estimated_rows.map(|r| format!("~{}", grouped(r.round().max(0.0) as u64)));
    let figures = match &node.metrics {
        Some(m) => format!("{} rows · {} · {:.0}%", grouped(m.rows), duration(m.nanos), share * 100.0),
        None => estimate.as_ref().map(|e| format!("{e} rows")).unwrap_or_default(),
    };
    let mut title = vec![node.description.name.clone()];
    title.extend(details.iter().cloned());
    title.extend(estimate.map(|e| format!("estimated rows: {e}")));
    if let Some(m) = &node.metrics {
        title.push(format!(
            "rows: {}, batches: {}, worker time: {}",
            grouped(m.rows),
            grouped(m.batches),
            duration(m.nanos)
        ));
        title.push(format!("reserved: {}, spilled: {}", bytes(m.bytes_reserved), bytes(m.bytes_spilled)));
        title.extend(m.notes.iter().map(|(name, value)| format!("{name}: {value}")));
    }
    let _ = write!(
        page,
        "<g transform=\"translate({:.0} {:.0})\"><title>{}</title>",
        placed.x,
        placed.y,
        escape(&title.join("\n"))
    );
    let _ = write!(page, "<rect width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"6\" fill=\"{}\"/>", colour(share));
    let _ = write!(page, "<text x=\"10\" y=\"20\" class=\"name\">{}</text>", escape(&cut(&node.description.name)));
    for (line, text) in wrap(&details.join("; ")).iter().enumerate() {
        let _ = write!(page, "<text x=\"10\" y=\"{}\" class=\"detail\">{}</text>", 36 + line * 13, escape(text));
    }
    let _ = write!(page, "<text x=\"10\" y=\"70\" class=\"figures\">{}</text></g>", escape(&figures));
}

/// White to red by the share of the time.
fn colour(share: f64) -> String {
    let strength = share.clamp(0.0, 1.0).sqrt();
    format!("rgb(255,{:.0},{:.0})", 255.0 - 130.0 * strength, 255.0 - 165.0 * strength)
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LINE_CHARACTERS {
        text.to_string()
    } else {
        text.chars().take(LINE_CHARACTERS - 1).chain("…".chars()).collect()
    }
}

/// At most two lines.
fn wrap(text: &str) -> Vec<String> {
    let first: String = text.chars().take(LINE_CHARACTERS + 2).collect();
    let rest: String = text.chars().skip(LINE_CHARACTERS + 2).collect();
    [first, cut(&rest)].into_iter().filter(|line| !line.is_empty()).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Plasmon plan</title><style>\
body{font:14px system-ui,sans-serif;margin:24px;color:#1c2430;background:#fafbfc}h2{font-size:15px;margin:18px 0 8px}\
svg{max-width:none}rect{stroke:#8a94a3;stroke-width:1}.edge{fill:none;stroke:#9aa5b5}\
.name{font-weight:600;font-size:13px}.detail{font-size:11px;fill:#4a5565}.figures{font-size:11px;font-weight:600;fill:#27486b}\
.hint{color:#6a7585;font-size:12px}</style></head><body><h1 style=\"font-size:18px\">Query plan</h1>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_and_long_texts_are_cut() {
        assert_eq!(escape("a < \"b\" & c"), "a &lt; &quot;b&quot; &amp; c");
        assert_eq!(cut(&"é".repeat(40)).chars().count(), LINE_CHARACTERS);
        assert_eq!(wrap(""), Vec::<String>::new());
    }
}
