//! Folding of Markdown to a readable width, without changing what it means.

/// Columns that a plain-text reader shows at once.
const WIDTH: usize = 80;

/// Breaks paragraph and list lines at spaces so that they keep within [`WIDTH`] where a word allows it. Tables, fenced
/// blocks and headings, which a line break would end, stay as they are.
pub(super) fn fold(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len() + markdown.len() / 40);
    let mut fenced = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced || line.chars().count() <= WIDTH || line.starts_with(['|', '#', '`']) {
            out.push_str(line);
            out.push('\n');
        } else {
            fold_line(line, &mut out);
        }
    }
    out
}

fn fold_line(line: &str, out: &mut String) {
    let content = line.trim_start_matches(' ');
    let mut indent = line.len() - content.len();
    out.push_str(&" ".repeat(indent));
    let mut column = indent;
    if content.starts_with("- ") {
        indent += 2;
    }
    for (index, word) in content.split(' ').enumerate() {
        let width = word.chars().count();
        // The bullet and the first word stay together.
        let may_break = index > 1 || (index == 1 && !content.starts_with("- "));
        if may_break && column + 1 + width > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
            if opens_block(word) {
                out.push('\\');
                column += 1;
            }
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out.push('\n');
}

/// Whether a word at the start of a line would begin a block. All but digits may take a backslash in front; a number
/// with a full stop only opens a list where it does not interrupt a paragraph, which a folded line always does, unless
/// it is 1.
fn opens_block(word: &str) -> bool {
    let one = matches!(word, "1." | "1)");
    !one && word.starts_with(['-', '+', '*', '=', '#', '>', '|', '~', '`']) && !word.starts_with("**")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fold_at_spaces_and_open_no_blocks() {
        let long = format!("- {} - tail", "word ".repeat(16).trim_end());
        let folded = fold(&long);
        assert!(folded.lines().all(|line| line.chars().count() <= WIDTH), "{folded}");
        assert!(folded.lines().skip(1).all(|line| line.starts_with("  ") && !line.starts_with("  - ")), "{folded}");
        let table = format!("| {} |", "x ".repeat(60));
        assert_eq!(fold(&table), format!("{table}\n"));
        let fence = format!("```\n{}\n```\n", "x ".repeat(60));
        assert_eq!(fold(&fence), fence);
        let words: Vec<&str> = long.split(' ').collect();
        assert_eq!(folded.replace("\\-", "-").split_whitespace().collect::<Vec<_>>(), words);
    }
}
