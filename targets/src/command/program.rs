//! Whether a program can be started, found out before anything is.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Looks for a program: at its path if it has one, else in `PATH`.
///
/// # Errors
/// Where it was looked for, or why what is there cannot be started, and what to do.
pub fn find(program: &str) -> Result<PathBuf, String> {
    if program.is_empty() {
        return Err("the program's name is empty".into());
    }
    if program.contains('/') {
        let path = PathBuf::from(program);
        return executable(&path).map(|()| path);
    }
    let searched = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&searched).collect();
    let mut refused = None;
    for folder in &folders {
        let path = folder.join(program);
        match executable(&path) {
            Ok(()) => return Ok(path),
            Err(why) if path.exists() => refused = refused.or(Some(why)),
            Err(_) => {}
        }
    }
    Err(refused.unwrap_or_else(|| {
        format!(
            "program not found: `{program}` is in none of the folders of PATH ({}); install it, \
             or give its path",
            searched.display()
        )
    }))
}

fn executable(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let meta = path.metadata().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => format!(
            "program not found: {shown}; correct the path (relative ones start where `tribunal` \
             was started; {{{{suite.dir}}}} is the folder of the suite)"
        ),
        _ => format!("cannot look at {shown}: {e}"),
    })?;
    if meta.is_dir() {
        return Err(format!("{shown} is a folder, not a program"));
    }
    if meta.permissions().mode() & 0o111 == 0 {
        return Err(format!(
            "{shown} is not executable: `chmod +x {shown}`, or name the interpreter before it"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_name_or_path_and_otherwise_it_is_said_why_not() {
        assert!(find("sh").unwrap().ends_with("sh"));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("server");
        let path = file.display().to_string();
        assert!(find(&path).unwrap_err().contains("program not found"));
        std::fs::write(&file, "").unwrap();
        assert!(find(&path).unwrap_err().contains("chmod +x"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(&path), Ok(file));
        assert!(
            find(&dir.path().display().to_string())
                .unwrap_err()
                .contains("folder")
        );
        let error = find("no-such-program-anywhere").unwrap_err();
        assert!(
            error.contains("PATH") && error.contains("install"),
            "{error}"
        );
        assert!(find("").is_err());
    }
}
