//! Reports drawn from a record: HTML for people, JUnit for CI, Markdown for summaries.
