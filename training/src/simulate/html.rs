//! One page that holds everything: tables, plots and pictures, with nothing to be fetched.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:1200px;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}\
table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}td,th{border:1px solid #ccc;padding:.25rem .5rem;text-align:left;\
font-variant-numeric:tabular-nums}th{background:#f3f3f3}figure{margin:1.5rem 0}img,svg{max-width:100%;height:auto}code{word-break:break-all}";

/// The page: the report's text, its plots, its contact sheets, and the sheets' prompts.
pub(super) fn page(
    markdown: &str,
    figures: &[(String, String)],
    sheets: &[(String, Vec<u8>)],
    prompts: &[(usize, String)],
) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>What votes made of the model</title><style>{STYLE}</style></head><body>\n"
    );
    page.push_str(&body(markdown));
    page.push_str("<h2>Plots</h2>\n");
    for (name, svg) in figures {
        let _ = writeln!(page, "<figure>{svg}<figcaption>{}</figcaption></figure>", escaped(name));
    }
    if !sheets.is_empty() {
        page.push_str("<h2>Before and after</h2>\n<p>The base on the left, the last champion on the right, of the same seeds. Rows:</p><ol>\n");
        prompts.iter().for_each(|(_, prompt)| {
            let _ = writeln!(page, "<li>{}</li>", escaped(prompt));
        });
        page.push_str("</ol>\n");
    }
    for (name, png) in sheets {
        let (name, data) = (escaped(name), STANDARD.encode(png));
        let _ = writeln!(
            page,
            "<figure><img alt=\"{name}: base left, last champion right\" src=\"data:image/png;base64,{data}\"><figcaption>{name}</figcaption></figure>"
        );
    }
    page.push_str("</body></html>\n");
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The little of Markdown that the report has: headings, tables, paragraphs, emphasis, code.
fn body(markdown: &str) -> String {
    let mut html = String::new();
    let mut rows: Vec<&str> = Vec::new();
    for line in markdown.lines().chain([""]) {
        if line.starts_with('|') {
            rows.push(line);
            continue;
        }
        html.push_str(&table(&std::mem::take(&mut rows)));
        let level = line.chars().take_while(|&c| c == '#').count();
        match line.trim() {
            "" => {}
            text if level > 0 => {
                let _ = writeln!(html, "<h{level}>{}</h{level}>", escaped(text.trim_start_matches('#').trim()));
            }
            text => {
                let _ = writeln!(html, "<p>{}</p>", inline(text));
            }
        }
    }
    html
}

fn table(rows: &[&str]) -> String {
    let cells = |row: &str, tag: &str| -> String {
        let inner = row.trim().trim_matches('|').split('|');
        inner.map(|cell| format!("<{tag}>{}</{tag}>", inline(cell.trim()))).collect()
    };
    let Some((head, body)) = rows.split_first() else { return String::new() };
    let body = body.iter().filter(|row| !row.starts_with("|---"));
    let body: String = body.map(|row| format!("<tr>{}</tr>\n", cells(row, "td"))).collect();
    format!("<table><thead><tr>{}</tr></thead><tbody>\n{body}</tbody></table>\n", cells(head, "th"))
}

fn inline(text: &str) -> String {
    let mut html = escaped(text);
    for (mark, tag) in [("**", "strong"), ("*", "em"), ("`", "code")] {
        while html.matches(mark).count() >= 2 {
            html = html.replacen(mark, &format!("<{tag}>"), 1).replacen(mark, &format!("</{tag}>"), 1);
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_text_plots_and_pictures_and_fetches_nothing() {
        let markdown = "# Title\n\nSome *text* & `code`.\n\n| a | b |\n|---|---|\n| 1 | <2> |\n";
        let figures = [("one.svg".to_owned(), "<svg></svg>".to_owned())];
        let page = page(markdown, &figures, &[("leg".to_owned(), vec![1, 2, 3])], &[(0, "a \"star\"".to_owned())]);
        for part in [
            "<h1>Title</h1>",
            "<em>text</em> &amp; <code>code</code>",
            "<th>a</th>",
            "<td>&lt;2&gt;</td>",
            "<svg></svg>",
            "base64,AQID",
            "a &quot;star&quot;",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("http") && !page.contains("---"), "{page}");
    }
}
