//! Answers as bytes: a small tree of values, written as JSON or as XML.
//!
//! The shapes are those that the official clients read. Two of Java v1's traps shape the JSON: its
//! reader does not decode `\u` escapes, so text is raw UTF-8 and a control character that JSON could
//! only escape becomes a space; and it fails on `null`, so an absent member is left out.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::ser::{CharEscape, Formatter};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json;charset=utf-8`.
    Json,
    /// `text/xml;charset=utf-8`.
    Xml,
}

impl Format {
    /// Reads the `Format` parameter of the RPC style.
    ///
    /// Absent means JSON, by this product's own page of common parameters (the general pages of the
    /// RPC style say XML); so does anything unknown, since Python v1 sends the word `None` when the
    /// caller set nothing.
    #[must_use]
    pub fn from_parameter(value: Option<&str>) -> Self {
        match value {
            Some(name) if name.eq_ignore_ascii_case("xml") => Self::Xml,
            Some(_) | None => Self::Json,
        }
    }

    /// The `Content-Type`. Java v1 picks its parser by it and v2 clients compare the XML one as a
    /// whole, so these texts are exact.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json;charset=utf-8",
            Self::Xml => "text/xml;charset=utf-8",
        }
    }
}

/// A value of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A string in both forms.
    Text(Cow<'static, str>),
    /// A JSON number.
    Integer(i64),
    /// A JSON boolean.
    Flag(bool),
    /// Named members in the order given.
    Object(Object),
    /// A list. In XML it is always a wrapper with children named `item`; in JSON it is a plain
    /// array, or, when `wrapped`, an object with the array as its only member `item`.
    List {
        /// Name of the children.
        item: &'static str,
        /// Whether JSON shows the wrapper too.
        wrapped: bool,
        /// The elements.
        elements: Vec<Node>,
    },
}

impl From<&'static str> for Node {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<Cow<'static, str>> for Node {
    fn from(text: Cow<'static, str>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Node {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Node {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Object> for Node {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

/// Named members in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    members: Vec<(&'static str, Node)>,
}

impl Object {
    /// An object without members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one member more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Node>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// With one member more when there is a value; absent members are left out, never `null`.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Node>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With the members of another object behind the own ones.
    #[must_use]
    pub fn and(mut self, other: Object) -> Self {
        self.members.extend(other.members);
        self
    }
}

/// Writes an answer. `root` is the name of the XML root element: `<Action>Response`, or `Error`.
#[must_use]
pub fn render(format: Format, root: &str, answer: &Object) -> Vec<u8> {
    match format {
        Format::Json => json(answer),
        Format::Xml => xml(root, answer).into_bytes(),
    }
}

fn json(answer: &Object) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, WithoutEscapes);
    answer
        .serialize(&mut serializer)
        .expect("writing strings, numbers and booleans to memory cannot fail");
    bytes
}

/// `serde_json`'s compact form, with a space for a control character that has no short escape.
struct WithoutEscapes;

impl Formatter for WithoutEscapes {
    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        writer.write_all(match escape {
            CharEscape::Quote => br#"\""#,
            CharEscape::ReverseSolidus => br"\\",
            CharEscape::Solidus => br"\/",
            CharEscape::Backspace => br"\b",
            CharEscape::FormFeed => br"\f",
            CharEscape::LineFeed => br"\n",
            CharEscape::CarriageReturn => br"\r",
            CharEscape::Tab => br"\t",
            CharEscape::AsciiControl(_) => b" ",
        })
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.members.len()))?;
        for (name, value) in &self.members {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Object(object) => object.serialize(serializer),
            Self::List {
                item,
                wrapped: true,
                elements,
            } => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(item, &Elements(elements))?;
                map.end()
            }
            Self::List { elements, .. } => Elements(elements).serialize(serializer),
        }
    }
}

struct Elements<'a>(&'a [Node]);

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for element in self.0 {
            list.serialize_element(element)?;
        }
        list.end()
    }
}

fn xml(root: &str, answer: &Object) -> String {
    let mut text = String::with_capacity(768);
    text.push_str(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    push_element(&mut text, root, |text| push_members(text, answer));
    text
}

fn push_members(text: &mut String, object: &Object) {
    for (name, value) in &object.members {
        push_element(text, name, |text| push_node(text, value));
    }
}

fn push_node(text: &mut String, node: &Node) {
    match node {
        Node::Text(value) => push_text(text, value),
        Node::Integer(number) => write!(text, "{number}").expect("a String takes all writes"),
        Node::Flag(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Node::Object(object) => push_members(text, object),
        Node::List { item, elements, .. } => {
            for element in elements {
                push_element(text, item, |text| push_node(text, element));
            }
        }
    }
}

fn push_element(text: &mut String, name: &str, content: impl FnOnce(&mut String)) {
    text.push('<');
    text.push_str(name);
    text.push('>');
    content(text);
    text.push_str("</");
    text.push_str(name);
    text.push('>');
}

/// Escaped text; characters that XML 1.0 section 2.2 does not allow at all become spaces.
fn push_text(text: &mut String, value: &str) {
    let allowed =
        |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..) && !matches!(c, '\u{fffe}' | '\u{ffff}');
    if value.chars().all(allowed) {
        text.push_str(&quick_xml::escape::escape(value));
    } else {
        let value: String = value
            .chars()
            .map(|c| if allowed(c) { c } else { ' ' })
            .collect();
        text.push_str(&quick_xml::escape::escape(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(answer: &Object) -> (String, String) {
        let text = |format| String::from_utf8(render(format, "XResponse", answer)).unwrap();
        let xml = text(Format::Xml);
        let open = r#"<?xml version="1.0" encoding="UTF-8"?><XResponse>"#;
        let inner = xml
            .strip_prefix(open)
            .unwrap()
            .strip_suffix("</XResponse>")
            .unwrap();
        (text(Format::Json), inner.to_owned())
    }

    #[test]
    fn format_follows_the_parameter() {
        let cases = [
            (None, Format::Json),
            (Some(""), Format::Json),
            (Some("XML"), Format::Xml),
            (Some("xml"), Format::Xml),
            (Some("JSON"), Format::Json),
            (Some("json"), Format::Json),
            (Some("None"), Format::Json),
            (Some("yaml"), Format::Json),
        ];
        for (value, format) in cases {
            assert_eq!(Format::from_parameter(value), format, "{value:?}");
        }
    }

    #[test]
    fn a_binding_has_the_published_form() {
        let answer = Object::new()
            .with("RequestId", "F655A8D5")
            .with("Code", "OK")
            .with(
                "SecretBindDTO",
                Object::new()
                    .with("SecretNo", "17000000001")
                    .with("Extension", ""),
            )
            .with_some("ChargeId", None::<String>);
        let (json, xml) = both(&answer);
        assert_eq!(
            json,
            r#"{"RequestId":"F655A8D5","Code":"OK","SecretBindDTO":{"SecretNo":"17000000001","Extension":""}}"#
        );
        assert_eq!(
            xml,
            "<RequestId>F655A8D5</RequestId><Code>OK</Code><SecretBindDTO><SecretNo>17000000001</SecretNo><Extension></Extension></SecretBindDTO>"
        );
    }

    #[test]
    fn lists_are_wrapped_where_clients_want_it() {
        let list = |wrapped| Node::List {
            item: "remainDTO",
            wrapped,
            elements: vec![
                Object::new()
                    .with("City", "武汉")
                    .with("Amount", 120)
                    .into(),
                Object::new()
                    .with("City", "杭州")
                    .with("Amount", 200)
                    .into(),
            ],
        };
        let answer = Object::new()
            .with("RemainDTOList", list(true))
            .with("Module", list(false));
        let (json, xml) = both(&answer);
        assert_eq!(
            json,
            r#"{"RemainDTOList":{"remainDTO":[{"City":"武汉","Amount":120},{"City":"杭州","Amount":200}]},"Module":[{"City":"武汉","Amount":120},{"City":"杭州","Amount":200}]}"#
        );
        let items = "<remainDTO><City>武汉</City><Amount>120</Amount></remainDTO><remainDTO><City>杭州</City><Amount>200</Amount></remainDTO>";
        assert_eq!(
            xml,
            format!("<RemainDTOList>{items}</RemainDTOList><Module>{items}</Module>")
        );
    }

    #[test]
    fn text_is_raw_utf8_and_never_escaped_by_code_point() {
        let answer = Object::new().with(
            "Message",
            "过期\u{1}\u{1f}\u{7f}😀 \"a\\b\"\n<&>'".to_owned(),
        );
        let (json, xml) = both(&answer);
        assert_eq!(
            json,
            "{\"Message\":\"过期  \u{7f}😀 \\\"a\\\\b\\\"\\n<&>'\"}"
        );
        assert!(!json.contains("\\u"));
        assert_eq!(
            xml,
            "<Message>过期  \u{7f}😀 &quot;a\\b&quot;\n&lt;&amp;&gt;&apos;</Message>"
        );
    }

    #[test]
    fn numbers_and_flags_are_bare() {
        let answer = Object::new()
            .with("Status", 1)
            .with("NeedRecord", true)
            .with("ASRStatus", false);
        let (json, xml) = both(&answer);
        assert_eq!(json, r#"{"Status":1,"NeedRecord":true,"ASRStatus":false}"#);
        assert_eq!(
            xml,
            "<Status>1</Status><NeedRecord>true</NeedRecord><ASRStatus>false</ASRStatus>"
        );
    }
}
