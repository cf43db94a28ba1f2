//! The program `dino-ir`: `trainer restore` without the rest, for those who restore photos.

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use super::restore::{self, RestoreArgs};
use super::{exit_code, guarded, report_usage};
use crate::host::terminal;

/// Restores photos: removes noise, blur, rain and haze, whichever they have.
#[derive(Debug, Parser)]
#[command(
    name = "dino-ir",
    version,
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
struct DinoIr {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    restore: Option<RestoreArgs>,
}

/// What else it can do.
#[derive(Debug, Subcommand)]
enum Other {
    /// Print what a shell needs to complete options: bash, zsh, fish, elvish or powershell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// Runs the program `dino-ir`.
pub fn main() -> ExitCode {
    terminal::set_program("dino-ir");
    guarded(|| {
        let parsed = command()
            .try_get_matches()
            .and_then(|matches| DinoIr::from_arg_matches(&matches));
        match parsed {
            Ok(asked) => exit_code(run(&asked)),
            Err(error) => ExitCode::from(report_usage(&error, "dino-ir")),
        }
    })
}

/// The options of `trainer restore`, in this program's name.
fn command() -> Command {
    // In `trainer` it is an option of all commands.
    let quiet = Arg::new("quiet")
        .short('q')
        .long("quiet")
        .help("No progress and no notes")
        .action(ArgAction::SetTrue);
    DinoIr::command()
        .arg(quiet)
        .override_usage("dino-ir INPUT... [-o PATH] [OPTIONS]")
        .after_help(restore::EXAMPLES.replace("trainer restore", "dino-ir"))
}

fn run(asked: &DinoIr) -> Result<ExitCode> {
    match (&asked.other, &asked.restore) {
        (Some(Other::Completions { shell }), _) => {
            clap_complete::generate(*shell, &mut command(), "dino-ir", &mut io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        (Some(Other::Man), _) => {
            clap_mangen::Man::new(command()).render(&mut io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
        (None, Some(args)) => restore::run(args),
        // Without arguments clap shows the help.
        (None, None) => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn photos_and_other_commands_are_told_apart() {
        let parse = |line: &str| {
            let matches = command().try_get_matches_from(line.split(' '))?;
            DinoIr::from_arg_matches(&matches)
        };
        let photo = parse("dino-ir a.jpg b.jpg -o out --shard 2/3 -q").expect("photos");
        let args = photo.restore.expect("arguments");
        assert_eq!((args.inputs.len(), args.quiet), (2, true));
        let shell = parse("dino-ir completions bash").expect("a shell");
        assert!(matches!(shell.other, Some(Other::Completions { .. })));
        assert!(parse("dino-ir --shard 1/2").is_err());
    }
}
