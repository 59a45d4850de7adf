//! One self-contained page: figures, where the time went, and the plan as a picture. Works without network, in light and dark.

use std::fmt::Write;

use serde_json::{Value, json};

use super::picture::{details, draw_tree, percent};
use super::{DescribedNode, Document, bytes, duration, grouped};

/// Nodes listed under "Where the time went".
const HOT_NODES: usize = 8;

pub(super) fn render(document: &Document<'_>) -> String {
    let total = document.total_nanos();
    let mut page = String::from(HEAD);
    page.push_str("<header><h1>Query plan</h1><div class=\"cards\">");
    cards(document, &mut page);
    page.push_str("</div></header>");
    if document.measured.is_some() {
        page.push_str("<section class=\"hot\"><h2>Where the time went</h2>");
        hot_nodes(document, total, &mut page);
        page.push_str("</section>");
    }
    for section in &document.sections {
        let _ = write!(page, "<section><h2>{}</h2>", escape(&section.title));
        draw_tree(&section.root, total, &mut page);
        page.push_str("</section>");
    }
    planning(document, &mut page);
    page.push_str("<p class=\"hint\">Rows flow upwards; arrows are thicker the more rows pass. A join's dashed input is built first, the other one probes. \
Colour is the share of the worker time. Point at a box for all its details, click it to keep them.</p><div id=\"tip\" role=\"tooltip\"></div>");
    let nodes: serde_json::Map<String, Value> = document.sections.iter().flat_map(|s| all(&s.root)).map(tip).collect();
    // `</script>` inside a string would end the script.
    let _ = write!(page, "<script>const nodes={};", Value::Object(nodes).to_string().replace("</", "<\\/"));
    page.push_str(SCRIPT);
    page.push_str("</script></body></html>\n");
    page
}

fn cards(document: &Document<'_>, page: &mut String) {
    let mut card = |label: &str, value: String| {
        let _ = write!(page, "<div class=\"card\"><b>{}</b><span>{label}</span></div>", escape(&value));
    };
    if let Some(measured) = document.measured {
        let busy =
            measured.total_nanos() as f64 / (measured.elapsed_nanos.max(1) as f64 * measured.threads.max(1) as f64);
        card("elapsed", duration(measured.elapsed_nanos));
        card("worker time", duration(measured.total_nanos()));
        card(&format!("of {} threads busy", measured.threads), format!("{:.0}%", busy.min(1.0) * 100.0));
        card("peak memory reserved", bytes(measured.peak_bytes as u64));
        if let Some(given) = measured.allocated_bytes {
            card("peak memory allocated", bytes(given as u64));
        }
        if measured.spilled_bytes() > 0 {
            card("spilled", bytes(measured.spilled_bytes()));
        }
        let rows = document.sections.first().and_then(|s| s.root.metrics.as_ref()).map_or(0, |m| m.rows);
        card("rows out", grouped(rows));
    }
    let planning: u64 = document.passes.iter().map(|(_, time)| time.as_nanos() as u64).sum();
    if planning > 0 {
        card("planning", duration(planning));
    }
}

/// The dearest nodes as bars.
fn hot_nodes(document: &Document<'_>, total: u64, page: &mut String) {
    let mut nodes: Vec<&DescribedNode> = document.sections.iter().flat_map(|s| all(&s.root)).collect();
    let nanos = |n: &DescribedNode| n.metrics.as_ref().map_or(0, |m| m.nanos);
    nodes.sort_by_key(|n| std::cmp::Reverse(nanos(n)));
    for node in nodes.iter().take(HOT_NODES).filter(|n| nanos(n) > 0) {
        let share = nanos(node) as f64 / total as f64;
        let _ = write!(
            page,
            "<div class=\"bar\" data-node=\"{}\"><span class=\"what\"><b>{}</b> {}</span><span class=\"track\"><i style=\"width:{:.1}%\"></i></span><span class=\"number\">{} · {}</span></div>",
            node.number,
            escape(&node.description.name),
            escape(&details(node).join("; ").chars().take(110).collect::<String>()),
            share * 100.0,
            duration(nanos(node)),
            percent(share)
        );
    }
}

fn planning(document: &Document<'_>, page: &mut String) {
    if document.passes.is_empty() {
        return;
    }
    page.push_str("<details><summary>Planning, step by step</summary><table>");
    for (name, time) in document.passes {
        let _ = write!(
            page,
            "<tr><td>{}</td><td class=\"number\">{}</td></tr>",
            escape(name),
            duration(time.as_nanos() as u64)
        );
    }
    page.push_str("</table></details>");
}

/// A node and all below it.
fn all(node: &DescribedNode) -> Vec<&DescribedNode> {
    std::iter::once(node).chain(node.children.iter().flat_map(all)).collect()
}

/// What the page shows of a node on hover: `[name, [[label, value] …]]`.
fn tip(node: &DescribedNode) -> (String, Value) {
    let mut lines: Vec<Value> = node
        .description
        .details
        .iter()
        .map(|(label, text)| json!([if label.is_empty() { "does" } else { label }, text]))
        .collect();
    if let Some(rows) = node.estimated_rows {
        lines.push(json!(["estimated rows", grouped(rows.round().max(0.0) as u64)]));
    }
    if let Some(m) = &node.metrics {
        lines.push(json!(["rows out", grouped(m.rows)]));
        if m.rows_in > 0 {
            lines.push(json!(["rows in", grouped(m.rows_in)]));
        }
        lines.push(json!(["batches", grouped(m.batches)]));
        lines.push(json!(["worker time", duration(m.nanos)]));
        if m.bytes_reserved > 0 {
            lines.push(json!(["reserved", bytes(m.bytes_reserved)]));
        }
        if m.bytes_spilled > 0 {
            lines.push(json!(["spilled", bytes(m.bytes_spilled)]));
        }
        lines.extend(m.notes.iter().map(|(name, value)| json!([name, value])));
    }
    (node.number.to_string(), json!([node.description.name, lines]))
}

/// Text for HTML and SVG content and attributes.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const HEAD: &str = r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Plasmon query plan</title><style>
:root{color-scheme:light dark;--page:#f6f7f9;--box:#fff;--line:#d5dae2;--text:#1b2330;--soft:#5d6878;--hot:#ff5a36;--warn:#b45309;--edge:#94a0b2;--shade:#1b233018;
--scan:#0d9488;--join:#7c3aed;--aggregate:#2563eb;--order:#c2410c;--pass:#94a3b8}
@media(prefers-color-scheme:dark){:root{--page:#11151c;--box:#1c232e;--line:#354052;--text:#e8edf5;--soft:#9aa7ba;--hot:#e8472b;--warn:#fbbf24;--edge:#66738a;--shade:#0008;
--scan:#2dd4bf;--join:#a78bfa;--aggregate:#60a5fa;--order:#fb923c;--pass:#64748b}}
*{box-sizing:border-box}body{font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;margin:0 auto;padding:22px 28px;color:var(--text);background:var(--page)}
header{display:flex;flex-wrap:wrap;gap:14px 36px;align-items:center;margin-bottom:6px}h1{font-size:20px;margin:0;letter-spacing:-.01em}h2{font-size:14px;margin:22px 0 10px;color:var(--soft);font-weight:600}
.cards{display:flex;flex-wrap:wrap;gap:10px}.card{background:var(--box);border:1px solid var(--line);border-radius:9px;padding:7px 14px;display:flex;flex-direction:column}
.card b{font-size:17px;font-variant-numeric:tabular-nums}.card span{color:var(--soft);font-size:12px}
.hot{max-width:980px}.bar{display:grid;grid-template-columns:minmax(0,1fr) 220px 120px;gap:14px;align-items:center;padding:3px 8px;border-radius:6px;cursor:default}
.bar:hover{background:var(--box)}.what{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;color:var(--soft)}.what b{color:var(--text);font-weight:600}
.track{height:9px;border-radius:5px;background:var(--line);overflow:hidden}.track i{display:block;height:100%;border-radius:5px;background:var(--hot)}
.number{text-align:right;font-variant-numeric:tabular-nums;font-size:12.5px;white-space:nowrap}
.scroll{overflow-x:auto;padding-bottom:6px}svg{display:block;max-width:none}
.box{fill:var(--box);fill:color-mix(in oklab,var(--hot) var(--heat),var(--box));stroke:var(--line);filter:drop-shadow(0 1px 2px var(--shade))}
.node{cursor:default;outline:none}.node:hover .box,.node:focus .box,.node.lit .box{stroke:var(--text);stroke-width:1.6}
.scan .strip{fill:var(--scan)}.join .strip{fill:var(--join)}.aggregate .strip{fill:var(--aggregate)}.order .strip{fill:var(--order)}.pass .strip{fill:var(--pass)}
svg text{fill:var(--text)}.name{font-weight:650;font-size:13px}.share{font-weight:650;font-size:12.5px;text-anchor:end;font-variant-numeric:tabular-nums}
.detail{font-size:11px;opacity:.74}.figures{font-size:11px;font-weight:600}svg .warn{fill:var(--warn)}
.edge{fill:none;stroke:var(--edge)}.build{stroke-dasharray:6 4}.arrowhead{fill:var(--edge)}
svg .flow{font-size:10.5px;fill:var(--soft);paint-order:stroke;stroke:var(--page);stroke-width:4px}
#tip{position:fixed;display:none;max-width:min(560px,70vw);max-height:80vh;overflow:auto;background:var(--box);border:1px solid var(--line);border-radius:9px;padding:10px 14px;box-shadow:0 6px 28px var(--shade);font-size:12.5px;z-index:9;pointer-events:none}
#tip b{display:block;font-size:13.5px;margin-bottom:5px}#tip table,details table{border-collapse:collapse}#tip td{vertical-align:top;padding:1px 0}#tip td:first-child{color:var(--soft);padding-right:14px;white-space:nowrap}
#tip td:last-child{overflow-wrap:anywhere}details{margin-top:20px;color:var(--soft)}summary{cursor:pointer}details td{padding:1px 22px 1px 0}.hint{color:var(--soft);font-size:12.5px;max-width:900px;margin-top:18px}
</style></head><body>"#;

const SCRIPT: &str = r#"
const tip=document.getElementById("tip");let pinned=null;
function show(id,x,y){const [name,lines]=nodes[id];tip.textContent="";const b=document.createElement("b");b.textContent=name;tip.append(b);
const table=document.createElement("table");for(const [k,v] of lines){const row=table.insertRow();row.insertCell().textContent=k;row.insertCell().textContent=v}tip.append(table);
tip.style.display="block";const w=tip.offsetWidth,h=tip.offsetHeight;tip.style.left=Math.max(6,Math.min(x+16,innerWidth-w-8))+"px";tip.style.top=Math.max(6,Math.min(y+16,innerHeight-h-8))+"px";light(id)}
function light(id){document.querySelectorAll(".node").forEach(n=>n.classList.toggle("lit",n.dataset.node===id))}
function hide(){if(!pinned){tip.style.display="none";light("")}}
document.querySelectorAll("[data-node]").forEach(e=>{const id=e.dataset.node;
e.addEventListener("mousemove",m=>{if(!pinned)show(id,m.clientX,m.clientY)});e.addEventListener("mouseleave",hide);
e.addEventListener("focus",()=>{const r=e.getBoundingClientRect();if(!pinned)show(id,r.right-10,r.top)});e.addEventListener("blur",hide);
e.addEventListener("click",m=>{pinned=pinned===id?null:id;show(id,m.clientX,m.clientY);m.stopPropagation()})});
document.addEventListener("click",()=>{pinned=null;hide()});document.addEventListener("keydown",k=>{if(k.key==="Escape"){pinned=null;hide()}});
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        assert_eq!(escape("a < \"b\" & c"), "a &lt; &quot;b&quot; &amp; c");
    }
}
