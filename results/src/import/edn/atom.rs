//! What single words of EDN mean: numbers, symbols, keywords.

use super::{Float, Value};

/// The code that hexadecimal digits are.
pub(super) fn hexadecimal(text: &str) -> Option<u32> {
    digits(text, 16).and_then(|code| code.try_into().ok())
}

/// Digits only; `from_str_radix` would take a sign.
pub(super) fn digits(text: &str, radix: u32) -> Option<i64> {
    let all = text.chars().all(|c| c.is_digit(radix));
    all.then(|| i64::from_str_radix(text, radix).ok()).flatten()
}

/// What a token means that is neither text nor character.
pub(super) fn atom(token: &str) -> Result<Value, String> {
    match token {
        "" => return Err("a character that no form begins with".into()),
        "nil" => return Ok(Value::Nil),
        "true" => return Ok(Value::Bool(true)),
        "false" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let unsigned = token.strip_prefix(['+', '-']).unwrap_or(token);
    if unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return number(token, unsigned).ok_or_else(|| format!("{token} is no number"));
    }
    if let Some(name) = token.strip_prefix(':') {
        return match is_name(name) {
            true => Ok(Value::Keyword(name.into())),
            false => Err(format!("{token} is no keyword")),
        };
    }
    match is_name(token) && !token.starts_with(['#', '\'', '`', '~', '@']) {
        true => Ok(Value::Symbol(token.into())),
        false => Err(format!("{token} is no symbol")),
    }
}

/// Whether text can be the name of a symbol or a keyword, with or without a namespace.
fn is_name(text: &str) -> bool {
    let (space, name) = match text.split_once('/') {
        Some(("", "")) => return true,
        Some((space, name)) => (Some(space), name),
        None => (None, text),
    };
    let part = |part: &str| {
        !part.is_empty() && !part.starts_with(':') && !part.ends_with(':') && !part.contains("::")
    };
    space.is_none_or(part) && (part(name) && !name.contains('/') || name == "/" && space.is_some())
}

fn number(token: &str, unsigned: &str) -> Option<Value> {
    let negative = token.starts_with('-');
    let exact = || Some(Value::Exact(token.trim_start_matches('+').to_owned()));
    let whole = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((above, below)) = unsigned.split_once('/') {
        let zero = below.bytes().all(|b| b == b'0');
        return (whole(above) && whole(below) && !zero).then(exact)?;
    }
    if let Some(digits) = unsigned.strip_suffix('M') {
        return is_decimal(digits).then(exact)?;
    }
    let plain = unsigned.strip_suffix('N').unwrap_or(unsigned);
    let hex = plain
        .strip_prefix("0x")
        .or_else(|| plain.strip_prefix("0X"));
    let radix = plain.split_once(['r', 'R']);
    let (digits_of, base) = match (hex, radix) {
        (Some(hex), _) => (hex, 16),
        (None, Some((base, rest))) => (rest, base.parse().ok()?),
        (None, None) if plain.len() > 1 && plain.starts_with('0') && whole(plain) => (plain, 8),
        (None, None) => (plain, 10),
    };
    if (2..=36).contains(&base)
        && !digits_of.is_empty()
        && digits_of.chars().all(|c| c.is_digit(base))
    {
        let sign = if negative { "-" } else { "" };
        let read = i64::from_str_radix(&format!("{sign}{digits_of}"), base);
        return read.map_or_else(|_| exact(), |n| Some(Value::Int(n)));
    }
    let float = (is_decimal(unsigned) && !whole(unsigned)).then(|| token.parse().ok())??;
    Some(Value::Float(Float(float)))
}

/// Digits, perhaps a fraction, perhaps an exponent: `1`, `1.`, `1.5e-3`.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.map(|e| e.strip_prefix(['+', '-']).unwrap_or(e));
    !whole.is_empty()
        && digits(whole)
        && digits(fraction)
        && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}
