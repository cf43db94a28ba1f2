//! Sizes in bytes as people write them: `1G`, `512M`, `1.5GiB`, `1048576`.

/// Bytes in one mebibyte.
pub const MIB: u64 = 1 << 20;

/// Reads a size: a number, then nothing or one of `K`, `M`, `G`, `T` (powers of 1024), then
/// nothing, `B` or `iB`.
///
/// # Errors
/// A message that names what is accepted.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is not a size: write 512M, 1G or a number of bytes");
    let lower = text.trim().to_ascii_lowercase();
    let split = lower
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(lower.len());
    let (number, unit) = lower.split_at(split);
    let unit = unit.trim();
    let unit = unit
        .strip_suffix("ib")
        .or(unit.strip_suffix('b'))
        .unwrap_or(unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(wrong()),
    };
    // Whole numbers keep every bit; only fractions go through floating point.
    let bytes = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(1 << shift).ok_or_else(wrong)?,
        Err(_) => (number.parse::<f64>().map_err(|_| wrong())? * (1u64 << shift) as f64) as u64,
    };
    if bytes == 0 { Err(wrong()) } else { Ok(bytes) }
}

/// Writes a size for people: `1.5 GiB`, `512 MiB`, `17 bytes`.
pub fn show_size(bytes: u64) -> String {
    if bytes >= 1 << 30 {
        format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64)
    } else if bytes >= MIB {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{bytes} bytes")
    }
}

/// Rounds a size up to what `--memory` would be given as: `512M`, `3G`.
pub fn suggest_size(bytes: u64) -> String {
    if bytes > 1 << 30 {
        format!("{}G", bytes.div_ceil(1 << 30))
    } else {
        format!("{}M", bytes.div_ceil(MIB))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_people_write() {
        for (text, bytes) in [
            ("1G", 1 << 30),
            ("512M", 512 << 20),
            ("512MiB", 512 << 20),
            ("1.5g", 3 << 29),
            ("64 kb", 64 << 10),
            ("1048576", 1 << 20),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "1Q", "-1", "0", "1.2.3M", "99999999999G", "nan"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
