//! The rules for a channel's name: lower-case letters, digits, `-` and `_`, at most 80 characters.

use super::errors::Code;

/// Longest name Slack takes, in characters.
const MAX_CHARS: usize = 80;

/// Checks a name for `conversations.create` and `conversations.rename`; Slack never repairs one.
pub(crate) fn check(name: &str) -> Result<(), Code> {
    if name.is_empty() {
        return Err(Code::InvalidNameRequired);
    }
    if name.chars().count() > MAX_CHARS {
        return Err(Code::InvalidNameMaxlength);
    }
    if name.chars().all(|c| !c.is_alphanumeric()) {
        return Err(Code::InvalidNamePunctuation);
    }
    if !name
        .chars()
        .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_'))
    {
        return Err(Code::InvalidNameSpecials);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Code, check};

    #[test]
    fn names_follow_the_documented_rules() {
        let long = "a".repeat(80);
        for good in ["inc-42-checkout", "a", "x_1", long.as_str()] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let too_long = "a".repeat(81);
        let bad = [
            ("", Code::InvalidNameRequired),
            (too_long.as_str(), Code::InvalidNameMaxlength),
            ("--__", Code::InvalidNamePunctuation),
            ("Inc-42", Code::InvalidNameSpecials),
            ("inc 42", Code::InvalidNameSpecials),
            ("inc.42", Code::InvalidNameSpecials),
            ("épique", Code::InvalidNameSpecials),
            ("#inc", Code::InvalidNameSpecials),
        ];
        for (name, code) in bad {
            assert_eq!(check(name), Err(code), "{name}");
        }
    }
}
