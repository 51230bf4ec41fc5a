//! Starts a box, waits for its end, and leaves nothing behind.
//!
//! In: options; standard input, whose end ends the box; SIGTERM and SIGINT, which do the same. Out:
//! events on standard output. It stays outside the namespaces, for what is in them cannot clean up
//! after itself. It holds no thread or file that a box could outlive.

use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp, getpid, setsid};

use super::ground::{self, Programs};
use crate::config::Layout;
use crate::options::{Images, Options};
use crate::progress::{Event, Progress, tell};
use crate::state::{self, State};
use crate::{address, cgroup, egress, packages};

/// What may happen to a box.
enum Happening {
    /// Standard input ended, or a signal came.
    EndAsked,
    /// The programs are there, or could not be made.
    Provided(Result<Programs>),
    /// Process 1 runs, under this number.
    Started(Pid),
    /// The box needs a way to registries; this listens inside it.
    WayAsked(TcpListener),
    /// Something inside tells this.
    Told(Event),
    /// Process 1 ended, or could not be started.
    Ended(Result<()>),
}

/// Tells the thread that follows; when that one has ended, nothing is left to be told.
#[derive(Clone)]
struct Teller(Sender<Happening>);

impl Teller {
    fn tell(&self, happening: Happening) {
        let _ = self.0.send(happening);
    }
}

/// Runs a box from its beginning to its end.
pub(super) fn run(options: &Options) -> Result<ExitCode> {
    // A parent that holds the other end of standard input may clean up before it ends, and with it the
    // box; a terminal's Ctrl-C is for that parent alone. A session leader stays what it is.
    if !std::io::stdin().is_terminal() {
        let _already_a_leader = setsid();
    }
    let (sender, happenings) = mpsc::channel();
    let teller = Teller(sender);
    watch_for_the_end(&teller)?;
    let programs = provide(options, &teller, &happenings)?;
    let Some(programs) = programs else {
        return Ok(ExitCode::SUCCESS);
    };

    let state = State::create(&state::root(), options.name.as_deref())?;
    let outcome = live(&state, options, &programs, (&teller, &happenings));
    let kept = keep_logs(&state, outcome.is_err());
    let removed = state.remove();
    match (outcome, kept) {
        (Err(error), Ok(Some(kept))) => Err(error.context(format!("logs are kept in {}", kept.display()))),
        (Err(error), _) => Err(error),
        (Ok(()), kept) => kept.and(removed).map(|()| ExitCode::SUCCESS),
    }
}

fn watch_for_the_end(teller: &Teller) -> Result<()> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block()?;
    let (by_signal, by_input) = (teller.clone(), teller.clone());
    thread::spawn(move || signals.wait().map(|_| by_signal.tell(Happening::EndAsked)));
    thread::spawn(move || {
        let _ended_either_way = std::io::stdin().lock().read_to_end(&mut Vec::new());
        by_input.tell(Happening::EndAsked);
    });
    Ok(())
}

/// Has the programs made; nothing when the end came first.
fn provide(options: &Options, teller: &Teller, happenings: &Receiver<Happening>) -> Result<Option<Programs>> {
    let (options, teller) = (options.clone(), teller.clone());
    thread::spawn(move || {
        let mut say = |step: Progress| drop(tell(&Event::Progress(step)));
        teller.tell(Happening::Provided(ground::provide(&options, &mut say)));
    });
    if let Happening::Provided(programs) = happenings.recv()? {
        programs.map(Some)
    } else {
        // A compiler may be at work, in this process's group, and has inherited that other signals are
        // blocked. There is nothing to clean up yet, so this process may end with it.
        if getpgrp() == getpid() {
            killpg(getpgrp(), Signal::SIGKILL)?;
        }
        Ok(None)
    }
}

/// Makes a box and waits for its end; every process in it has ended then.
fn live(
    state: &State,
    options: &Options,
    programs: &Programs,
    (teller, happenings): (&Teller, &Receiver<Happening>),
) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on 127.0.0.1")?;
    let layout = ground::lay_out(state, options, programs, listener.local_addr()?.port())?;
    for node in layout.nodes() {
        cgroup::create(&layout.name, &address::node_name(node))?;
    }
    let teller = teller.clone();
    thread::spawn(move || {
        let ended = hold(&layout, listener.into(), &teller);
        teller.tell(Happening::Ended(ended));
    });
    follow(happenings)
}

/// Passes on what the box tells, until its end.
fn follow(happenings: &Receiver<Happening>) -> Result<()> {
    let mut init = None;
    let mut asked = false;
    let mut reason = None;
    for happening in happenings {
        match happening {
            Happening::Started(pid) => init = Some(pid),
            Happening::EndAsked => asked = true,
            // Only here: the thread that holds the box, and any that it starts, are in its network.
            Happening::WayAsked(listener) => egress::serve(listener),
            Happening::Told(Event::Failed { reason: told }) => reason = Some(told),
            Happening::Told(event) => relay(event, init)?,
            Happening::Ended(_) if asked => return Ok(()),
            Happening::Ended(ended) => {
                ended?;
                bail!(reason.unwrap_or_else(|| "process 1 of the box ended".to_owned()));
            }
            Happening::Provided(_) => {}
        }
        if let (true, Some(pid)) = (asked, init) {
            // The kernel ends every process of a namespace with its process 1, and all before this
            // one is waited for. Not there any more is as good.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
    bail!("the box was lost")
}

fn relay(event: Event, init: Option<Pid>) -> Result<()> {
    let event = match event {
        Event::Ready(mut facts) => {
            facts.pid = init.context("process 1 told before it ran")?.as_raw();
            facts.keeper = std::process::id();
            state::write(&facts)?;
            Event::Ready(facts)
        }
        other => other,
    };
    // When nobody reads any more, standard input ends as well, and that is heard.
    let _ = tell(&event);
    Ok(())
}

/// Makes the namespaces, starts process 1 in them and waits for its end.
///
/// Namespaces belong to a thread, and a child dies with the thread that started it: this one must
/// last as long as the box.
fn hold(layout: &Layout, listener: OwnedFd, teller: &Teller) -> Result<()> {
    let all = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    unshare(all).context("cannot make namespaces: the box needs root and CAP_SYS_ADMIN")?;
    if layout.options.images == Images::Real {
        teller.tell(Happening::WayAsked(TcpListener::bind((
            layout.families().first().every(),
            address::EGRESS_PORT,
        ))?));
    }
    let mut init = Command::new(&layout.launcher)
        .arg("init")
        .arg(&layout.dir)
        .env("PATH", packages::path())
        .stdin(Stdio::from(listener))
        .stdout(Stdio::piped())
        .stderr(Stdio::from(fs::File::create(layout.logs().join("box.log"))?))
        .spawn()
        .context("cannot start process 1")?;
    let pid = Pid::from_raw(i32::try_from(init.id())?);
    teller.tell(Happening::Started(pid));
    listen(&mut init, teller)?;
    init.wait()?;
    Ok(())
}

fn listen(init: &mut Child, teller: &Teller) -> Result<()> {
    let output: ChildStdout = init.stdout.take().context("process 1 has an output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        let event = serde_json::from_str(&line).with_context(|| format!("process 1 told {line:?}"));
        let event = event.unwrap_or_else(|error| Event::Failed { reason: format!("{error:#}") });
        teller.tell(Happening::Told(event));
    }
    Ok(())
}

/// Copies the logs to `$SILVERBACK_BOX_LOGS`, or, of a box that failed, to the temporary directory.
fn keep_logs(state: &State, failed: bool) -> Result<Option<PathBuf>> {
    let named = std::env::var_os("SILVERBACK_BOX_LOGS").filter(|dir| !dir.is_empty());
    let target = match (named, failed) {
        (Some(dir), _) => PathBuf::from(dir).join(&state.name),
        (None, true) => std::env::temp_dir().join(format!("silverback-box-{}", state.name)),
        (None, false) => return Ok(None),
    };
    copy(&state.logs(), &target).with_context(|| format!("cannot keep the logs in {}", target.display()))?;
    Ok(Some(target))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
