//! The place of one value in a definition's text, so that it can be replaced and all else stays as it was written.

use std::ops::Range;

use saphyr_parser::{Event, Parser};

/// A map or a list that is being read.
enum Frame {
    /// With the key that waits for its value.
    Map(Option<String>),
    List,
}

/// The bytes of the value under the keys, when it is there.
///
/// # Errors
/// When the text is no YAML.
pub(crate) fn find(text: &str, keys: &[&str]) -> Result<Option<Range<usize>>, String> {
    let byte = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    let mut frames: Vec<Frame> = Vec::new();
    // The wanted value's start, and how many frames stood around it.
    let mut found: Option<(usize, usize)> = None;
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| format!("this is not YAML: {error}"))?;
        let wanted = found.is_none() && is_at(&frames, keys);
        match event {
            Event::Scalar(scalar, ..) => match frames.last_mut() {
                Some(Frame::Map(key @ None)) => *key = Some(scalar.to_string()),
                _ if wanted => return Ok(Some(byte(span.start.index())..byte(span.end.index()))),
                _ => close_value(&mut frames),
            },
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if wanted {
                    found = Some((byte(span.start.index()), frames.len()));
                }
                let map = matches!(event, Event::MappingStart(..));
                frames.push(if map { Frame::Map(None) } else { Frame::List });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                frames.pop();
                if let Some((start, depth)) = found
                    && depth == frames.len()
                {
                    let end = byte(span.start.index());
                    let flow = text[end..].starts_with([']', '}']);
                    return Ok(Some(if flow {
                        start..end + 1
                    } else {
                        trimmed(text, start..end)
                    }));
                }
                close_value(&mut frames);
            }
            Event::Alias(_) => close_value(&mut frames),
            _ => {}
        }
    }
    Ok(None)
}

/// A block's end is where the next token begins: white space and comments before it are not the value's.
fn trimmed(text: &str, place: Range<usize>) -> Range<usize> {
    let lines: Vec<&str> = text[place.clone()].split_inclusive('\n').collect();
    let is_empty = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let kept = lines.len() - lines.iter().rev().take_while(|line| is_empty(line)).count();
    let block = &text[place.start..place.start + lines[..kept].iter().map(|line| line.len()).sum::<usize>()];
    place.start..place.start + block.trim_end().len()
}

fn close_value(frames: &mut [Frame]) {
    if let Some(Frame::Map(key)) = frames.last_mut() {
        *key = None;
    }
}

fn is_at(frames: &[Frame], keys: &[&str]) -> bool {
    frames.len() == keys.len()
        && frames
            .iter()
            .zip(keys)
            .all(|(frame, key)| matches!(frame, Frame::Map(Some(held)) if held == key))
}
