//! The zoo as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    zoo::main()
}
