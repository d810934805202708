//! Xterm's 256 colours and the style sheet that shows them. Text keeps its hue; its lightness is held within what can be
//! read on the page, dark and light.

use std::fmt::Write;

/// The first 16, as xterm has them by default.
const BASIC: [(u8, u8, u8); 16] = [
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
];
/// The cube's steps.
const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
/// Contrast below which text on a coloured background takes black or white instead (WCAG 2.2, 1.4.3).
const CONTRAST: f64 = 4.5;

/// Red, green and blue of a colour.
fn rgb(index: u8) -> (u8, u8, u8) {
    match index {
        0..=15 => BASIC[index as usize],
        16..=231 => {
            let n = index as usize - 16;
            (STEPS[n / 36], STEPS[n / 6 % 6], STEPS[n % 6])
        }
        232..=255 => {
            let grey = 8 + (index - 232) * 10;
            (grey, grey, grey)
        }
    }
}

/// The nearest colour of cube and greys.
pub(super) fn nearest(r: u8, g: u8, b: u8) -> u8 {
    let distance = |index: &u8| {
        let (x, y, z) = rgb(*index);
        let part = |a: u8, b: u8| (i32::from(a) - i32::from(b)).pow(2);
        part(r, x) + part(g, y) + part(b, z)
    };
    (16..=255).min_by_key(distance).unwrap_or(16)
}

/// Relative luminance (WCAG 2.2).
fn luminance(index: u8) -> f64 {
    let linear = |channel: u8| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    };
    let (r, g, b) = rgb(index);
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

fn contrast(a: f64, b: f64) -> f64 {
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Whether text of one colour can be read on the other.
pub(super) fn legible(fg: u8, bg: u8) -> bool {
    contrast(luminance(fg), luminance(bg)) >= CONTRAST
}

/// The style sheet of the colours: `cN` names a text colour, `fg` uses it on the page, `fx` on a background `kN`.
#[must_use]
pub fn stylesheet() -> String {
    let mut css = String::from(
        "/* The 256 colours of logs; made by pages::log::palette. */\n\
         .fg{color:var(--c);color:oklch(from var(--c) clamp(var(--log-l0),l,var(--log-l1)) c h)}\n\
         .fx{color:var(--c)}\n",
    );
    for index in 0..=255_u8 {
        let (r, g, b) = rgb(index);
        let on = if contrast(luminance(index), 1.0) >= CONTRAST {
            "fff"
        } else {
            "000"
        };
        let _infallible = writeln!(
            css,
            ".c{index}{{--c:#{r:02x}{g:02x}{b:02x}}}.k{index}{{background:#{r:02x}{g:02x}{b:02x}}}.k{index}:not(.fx){{color:#{on}}}"
        );
    }
    css
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn true_colours_become_their_nearest() {
        assert_eq!(nearest(255, 0, 0), 196);
        assert_eq!(nearest(0, 0, 0), 16);
        assert_eq!(nearest(128, 128, 128), 244);
        assert_eq!(nearest(94, 136, 174), rgb_index(95, 135, 175));
    }

    fn rgb_index(r: u8, g: u8, b: u8) -> u8 {
        (16..=231).find(|i| rgb(*i) == (r, g, b)).unwrap()
    }

    #[test]
    fn the_style_sheet_is_the_one_that_is_served() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/colours.css");
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(path, stylesheet()).unwrap();
        }
        let served = std::fs::read_to_string(path).unwrap();
        assert_eq!(served, stylesheet(), "UPDATE_SNAPSHOTS=1 writes it anew");
    }

    #[test]
    fn black_or_white_can_be_read_on_every_background() {
        for index in 0..=255 {
            let l = luminance(index);
            let on = if contrast(l, 1.0) >= CONTRAST { 1.0 } else { 0.0 };
            assert!(contrast(l, on) >= CONTRAST, "{index}");
        }
        assert!(!legible(0, 16) && !legible(11, 15) && legible(15, 0));
    }
}
