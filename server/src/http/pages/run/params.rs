//! What stands behind the `?` of an address.

use tonic::Status;

use crate::api::errors;

/// Bytes of one value.
const VALUE_BYTES: usize = 1_024;

/// Names and values as they came.
pub(super) struct Params(pub(super) Vec<(String, String)>);

impl Params {
    /// The first value of a name; empty without one.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a value that is too long.
    pub(super) fn text(&self, name: &'static str) -> Result<&str, Status> {
        let value = self
            .0
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, v)| v.as_str());
        if value.len() > VALUE_BYTES {
            return Err(errors::invalid(name, format_args!("at most {VALUE_BYTES} bytes")));
        }
        Ok(value)
    }

    /// A number; none when it is absent or empty.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for what is no number of this size.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, Status> {
        match self.text(name)? {
            "" => Ok(None),
            text => (text.parse().map(Some))
                .map_err(|_| errors::invalid(name, format_args!("{text:?} is not a number that fits here"))),
        }
    }

    /// A page from 1.
    pub(super) fn page(&self) -> Result<usize, Status> {
        match self.number("page")? {
            Some(0) => Err(errors::invalid("page", "pages are counted from 1")),
            page => Ok(page.unwrap_or(1)),
        }
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<bool, Status> {
        match self.text(name)? {
            "" | "0" => Ok(false),
            "1" => Ok(true),
            other => Err(errors::invalid(name, format_args!("{other:?} is not 0 or 1"))),
        }
    }
}
