//! Pages of lists: as many entries as are asked for, and no more than an answer holds.

use prost::Message;
use types::limits::ANSWER_BYTES;

/// What a page may hold beside its entries.
const REST: usize = 64 * 1024;
/// Entries of a page at most; who asks for more gets these, and a token.
pub(super) const MOST: u32 = 500;

/// How many entries a page has: `usual` when nothing is said.
pub(super) fn limit(asked: u32, usual: u32) -> u32 {
    match asked {
        0 => usual,
        asked => asked.min(MOST),
    }
}

/// Cuts a list to a page, of which there is always one entry if there is any; whether there are more.
pub(super) fn cut<T: Message>(entries: &mut Vec<T>, limit: u32) -> bool {
    let all = entries.len();
    let mut bytes = REST;
    let fits = entries.iter().take(limit as usize).take_while(|entry| {
        bytes += entry.encoded_len() + 8;
        bytes <= ANSWER_BYTES
    });
    let fits = fits.count().max(1);
    entries.truncate(fits);
    entries.len() < all
}

#[cfg(test)]
mod tests {
    use proto::v1::Run;

    use super::{cut, limit};

    #[test]
    fn a_page_is_bounded_by_number_and_by_bytes() {
        let run = |bytes: usize| Run {
            reasons: vec!["r".repeat(bytes)],
            ..Run::default()
        };
        let mut few = vec![run(1); 3];
        assert!(!cut(&mut few, 3));
        assert!(cut(&mut few, 2) && few.len() == 2);
        let mut large = vec![run(1024 * 1024); 10];
        assert!(cut(&mut large, 10));
        assert_eq!(large.len(), 3, "less than 4 MiB");
        let mut one = vec![run(8 * 1024 * 1024); 2];
        assert!(cut(&mut one, 10) && one.len() == 1, "a page is never empty");
        assert!(!cut(&mut Vec::<Run>::new(), 10));
        assert_eq!((limit(0, 50), limit(7, 50), limit(u32::MAX, 50)), (50, 7, 500));
    }
}
