//! The ladder of a call as text: what was said between the caller and us on the left, between us and the
//! callee on the right, in the order of time.

use serde_json::Value;

/// The width of one side, in characters.
const SIDE: usize = 34;

/// Draws the steps of a ladder, as a call record holds them: `at_ms` since the call came, `leg` (`caller` or
/// `callee`), `dir` (`in` is towards us), `what`, `note`. A step of neither leg is ours. What a step lacks is
/// left blank.
pub fn draw(steps: &[Value]) -> String {
    let mut text = format!(
        "{:>9}  {:<SIDE$}  {:^8}  {}\n",
        "SECONDS", "CALLER", "MASKLINE", "CALLEE"
    );
    for step in steps {
        let field = |name: &str| step[name].as_str().unwrap_or_default();
        let at = step["at_ms"]
            .as_f64()
            .map_or_else(String::new, |at_ms| format!("{:.3}", at_ms / 1_000.0));
        let (what, inward) = (field("what"), field("dir") == "in");
        let (left, ours, right) = match field("leg") {
            "caller" => (arrow(what, inward), String::new(), String::new()),
            "callee" => (String::new(), String::new(), arrow(what, !inward)),
            _ => (String::new(), what.to_owned(), String::new()),
        };
        let line = format!("{at:>9}  {left:<SIDE$}  {ours:^8}  {right:<SIDE$}");
        text.push_str(line.trim_end());
        if !field("note").is_empty() {
            text.push_str("  ");
            text.push_str(field("note"));
        }
        text.push('\n');
    }
    text
}

/// An arrow as wide as a side, with the words at its tail.
fn arrow(what: &str, rightward: bool) -> String {
    let shaft = "-".repeat(SIDE.saturating_sub(what.chars().count() + 2).max(1));
    if rightward {
        format!("{what} {shaft}>")
    } else {
        format!("<{shaft} {what}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_has_its_arrows() {
        let steps = serde_json::json!([
            {"at_ms": 0, "leg": "caller", "dir": "in", "what": "INVITE", "note": "139******00 dials 170******01"},
            {"at_ms": 2, "leg": "", "dir": "", "what": "routed", "note": ""},
            {"at_ms": 12, "leg": "callee", "dir": "out", "what": "INVITE"},
            {"at_ms": 1500, "leg": "callee", "dir": "in", "what": "200"},
            {"at_ms": 1501, "leg": "caller", "dir": "out", "what": "200"},
            "nonsense",
        ]);
        let drawn = draw(steps.as_array().expect("a list"));
        let expected = "  SECONDS  CALLER                              MASKLINE  CALLEE
    0.000  INVITE -------------------------->            139******00 dials 170******01
    0.002                                       routed
    0.012                                                INVITE -------------------------->
    1.500                                                <----------------------------- 200
    1.501  <----------------------------- 200

";
        let shape = |text: &str| -> Vec<String> {
            text.lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect()
        };
        assert_eq!(shape(&drawn), shape(expected), "{drawn}");
        let column = |line: usize, what: char| {
            let text = drawn.lines().nth(line).expect("a line");
            text.chars().position(|c| c == what).expect("there")
        };
        assert_eq!(column(3, 'I'), column(4, '<'));
        assert_eq!(column(1, 'I'), column(5, '<'));
    }
}
