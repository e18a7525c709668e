//! The command `terrane-sqllogictest`; all of it is in the library.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    terrane_sqllogictest::cli::main().await
}
