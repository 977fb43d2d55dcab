//! `tribunal serve`: browse runs in a browser.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::{Done, Failure, exit};
use crate::serve;

const AFTER_HELP: &str = "\
What there is to see:
  the list of runs, newest first, with filters and a search; a run's report and files;
  all operations of a run, also of millions; trends of each test; two runs side by side;
  a run that is going on, live.

Only this machine is answered: the address must be a loopback one, and requests that name
another host are refused. Nothing is changed, and nothing is asked of anybody.

Ctrl-C ends it, with exit code 0.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Serve {
    /// The directory of run directories, instead of that of --out
    dir: Option<PathBuf>,
    /// Directory of run directories
    #[arg(
        long,
        value_name = "DIR",
        default_value = "results/runs",
        env = "TRIBUNAL_OUT"
    )]
    out: PathBuf,
    /// The port; 0 for any that is free
    #[arg(long, default_value_t = 8642)]
    port: u16,
    /// The loopback address to listen at
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
}

/// Serves until a signal ends it.
pub(super) fn serve(args: &Serve) -> Done {
    let out = args.dir.as_ref().unwrap_or(&args.out);
    if !args.address.is_loopback() {
        let address = args.address;
        return Err(Failure::usage(anyhow::anyhow!(
            "{address} is not a loopback address; runs are shown to this machine only. \
             Use 127.0.0.1, and a tunnel such as `ssh -L` to look from elsewhere"
        )));
    }
    let out = out.canonicalize().with_context(|| {
        let shown = out.display();
        format!("no runs at {shown}; `tribunal run` makes some, or name another directory")
    });
    let out = out.map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let done = runtime.block_on(async {
        let address = SocketAddr::new(args.address, args.port);
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.map_err(|e| not_bound(address, &e))?;
        let address = listener.local_addr().context("cannot tell the address")?;
        anstream::println!(
            "serving {} at http://{address}/ (Ctrl-C ends it)",
            out.display()
        );
        tokio::select! {
            served = serve::serve(listener, out) => served.map_err(Failure::from),
            stopped = signalled() => stopped.context("cannot wait for signals").map_err(Failure::from),
        }
    });
    // What is still being read for a page need not be waited for.
    runtime.shutdown_background();
    done.map(|()| exit::PASS)
}

fn not_bound(address: SocketAddr, error: &std::io::Error) -> Failure {
    let port = address.port();
    Failure::usage(match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "port {port} is taken, perhaps by another `tribunal serve`; choose another with \
             --port, or any that is free with --port 0"
        ),
        _ => anyhow::anyhow!("cannot listen at {address}: {error}; choose another with --port"),
    })
}

/// Returns at the first SIGINT or SIGTERM.
async fn signalled() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
