//! Elements of an XML file: names, attributes, text. Entities of its own are not expanded.

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// An element without its namespace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Element {
    /// Its name without a prefix.
    pub name: String,
    /// Its attributes in order.
    pub attributes: Vec<(String, String)>,
    /// Its own text, trimmed.
    pub text: String,
    /// What is in it.
    pub children: Vec<Element>,
}

impl Element {
    /// The elements called `name` directly in it.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first element called `name` in it, when there is any.
    pub fn words(&self, name: &str) -> Option<&str> {
        self.children
            .iter()
            .find(|child| child.name == name)
            .map(|child| child.text.as_str())
            .filter(|text| !text.is_empty())
    }

    /// The value of its attribute `name`.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Reads the one root element of `text`.
///
/// # Errors
/// In words, when it is no XML or nested deeper than `deepest`.
pub(super) fn read(text: &str, deepest: usize) -> Result<Element, String> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                if open.len() > deepest {
                    return Err(format!("nested deeper than {deepest}"));
                }
                open.push(element(&start));
            }
            Event::Empty(start) => {
                if let Some(parent) = open.last_mut() {
                    parent.children.push(element(&start));
                }
            }
            Event::End(_) => {
                if let Some(mut done) = open.pop() {
                    done.text = done.text.trim().into();
                    open.last_mut().ok_or("ends what was not begun")?.children.push(done);
                }
            }
            Event::Text(words) => {
                if let Some(inner) = open.last_mut() {
                    inner.text.push_str(&words);
                }
            }
            Event::Eof => break,
            Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
    let mut outermost = open.pop().filter(|_| open.is_empty()).ok_or("ends too early")?;
    outermost.children.pop().ok_or_else(|| "holds no element".to_owned())
}

fn element(start: &BytesStart<'_>) -> Element {
    let attributes = start.attributes().flatten();
    Element {
        name: start.local_name().as_ref().to_owned(),
        attributes: attributes
            .map(|found| (found.key.local_name().as_ref().to_owned(), found.value.into_owned()))
            .collect(),
        ..Element::default()
    }
}
