//! The one binary: see [`tribunal::cli`].

fn main() -> std::process::ExitCode {
    tribunal::cli::main()
}
