//! Values as EDN and as JSON text.

use std::io::{self, Write};

use crate::import::edn::{Form, Value};

/// Writes a value as EDN.
pub(super) fn edn(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    match value {
        Value::Nil => out.write_all(b"nil"),
        Value::Bool(yes) => write!(out, "{yes}"),
        Value::Int(n) => write!(out, "{n}"),
        Value::Keyword(name) => write!(out, ":{name}"),
        Value::Text(text) => edn_text(out, text),
        Value::Vector(forms) => {
            out.write_all(b"[")?;
            separated(out, forms, " ", edn)?;
            out.write_all(b"]")
        }
        Value::Map(map) => {
            out.write_all(b"{")?;
            for (at, (name, form)) in map.iter().enumerate() {
                out.write_all(if at == 0 { b"" } else { b", " })?;
                edn(out, name)?;
                out.write_all(b" ")?;
                edn(out, &form.value)?;
            }
            out.write_all(b"}")
        }
        other => Err(unforeseen(other)),
    }
}

/// A text in quotes. Nothing that moves a terminal's cursor is left as it is.
fn edn_text(out: &mut dyn Write, text: &str) -> io::Result<()> {
    out.write_all(b"\"")?;
    for c in text.chars() {
        match c {
            '"' => out.write_all(b"\\\"")?,
            '\\' => out.write_all(b"\\\\")?,
            '\n' => out.write_all(b"\\n")?,
            '\r' => out.write_all(b"\\r")?,
            '\t' => out.write_all(b"\\t")?,
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c))?,
            c => write!(out, "{c}")?,
        }
    }
    out.write_all(b"\"")
}

/// Writes a value as JSON. A map's names are texts.
pub(super) fn json(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    match value {
        Value::Nil => out.write_all(b"null"),
        Value::Bool(yes) => write!(out, "{yes}"),
        Value::Int(n) => write!(out, "{n}"),
        Value::Text(text) => Ok(serde_json::to_writer(out, text)?),
        Value::Vector(forms) => {
            out.write_all(b"[")?;
            separated(out, forms, ",", json)?;
            out.write_all(b"]")
        }
        Value::Map(map) => {
            out.write_all(b"{")?;
            for (at, (name, form)) in map.iter().enumerate() {
                out.write_all(if at == 0 { b"" } else { b"," })?;
                json(out, name)?;
                out.write_all(b":")?;
                json(out, &form.value)?;
            }
            out.write_all(b"}")
        }
        other => Err(unforeseen(other)),
    }
}

fn separated(
    out: &mut dyn Write,
    forms: &[Form],
    by: &str,
    write: fn(&mut dyn Write, &Value) -> io::Result<()>,
) -> io::Result<()> {
    for (at, form) in forms.iter().enumerate() {
        out.write_all(if at == 0 { b"" } else { by.as_bytes() })?;
        write(out, &form.value)?;
    }
    Ok(())
}

fn unforeseen(value: &Value) -> io::Error {
    io::Error::other(format!("no history is made of {value:?}; please report it"))
}
