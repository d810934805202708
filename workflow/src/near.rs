//! What was probably meant.

/// A longer word is no slip of a key; comparing it would cost its length times that of each known one.
const LONGEST: usize = 80;

/// The known word nearest to a given one, if one is near enough to be meant. Upper case, and `-`, `_` or a space
/// between words, make no difference.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let plain_word = plain(word);
    known
        .into_iter()
        .filter_map(|candidate| {
            // A word of one letter is near to every other such word.
            let most = (candidate.len().max(word.len()) / 3)
                .max(1)
                .min(candidate.len().min(word.len()).max(1) - 1);
            let distance = distance(word, &plain_word, candidate, most)?;
            Some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How far apart they are, unless that is more than the given most.
fn distance(word: &str, plain_word: &str, candidate: &str, most: usize) -> Option<usize> {
    if most == 0 || candidate.len() > LONGEST {
        return None;
    }
    let plain_candidate = plain(candidate);
    if word != candidate && plain_word == plain_candidate {
        return Some(1);
    }
    // Cheap, and never more than the true distance: most candidates end here.
    if apart(plain_word, &plain_candidate) > most {
        return None;
    }
    let exact = strsim::damerau_levenshtein(word, candidate);
    let plain = strsim::damerau_levenshtein(plain_word, &plain_candidate) + 1;
    Some(exact.min(plain)).filter(|distance| *distance <= most)
}

/// How many bytes of the one the other lacks, in either direction the larger number.
fn apart(a: &str, b: &str) -> usize {
    let mut counts = [0_i16; 256];
    a.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    b.bytes().for_each(|byte| counts[usize::from(byte)] -= 1);
    let (mut more, mut less) = (0, 0);
    for byte in a.bytes().chain(b.bytes()) {
        let count = std::mem::take(&mut counts[usize::from(byte)]);
        if count > 0 {
            more += usize::from(count.unsigned_abs());
        } else {
            less += usize::from(count.unsigned_abs());
        }
    }
    more.max(less)
}

fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let keys = [
            "timeout",
            "allow-failure",
            "max-parallel",
            "runs-on",
            "steps",
            "a",
            "b",
        ];
        let near = |word| nearest(word, keys);
        assert_eq!(near("tiemout"), Some("timeout"));
        assert_eq!(near("TIMEOUT"), Some("timeout"));
        assert_eq!(near("allowFailure"), Some("allow-failure"));
        assert_eq!(near("max_parallel"), Some("max-parallel"));
        assert_eq!(near("runsOn"), Some("runs-on"));
        assert_eq!(near("jobs"), None);
        assert_eq!(near("c"), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), keys), None);
        assert_eq!(near(""), None);
    }
}
