//! YAML in, plans out, with errors that point at the line.
