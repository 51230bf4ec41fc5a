//! `cargo xtask image`: an image archive from a program, without a container engine.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use cluster::image::Archive;

use crate::products::{self, Profile};

/// Make a container image archive, without a container engine, in the form of `docker save`.
///
/// NAME is `kong`, `kic` or `echo` (the stand-ins of the test cluster) or `silverback` (the operator). With
/// --program any program becomes an image, together with the shared libraries it is linked to. Takes as long as
/// cargo takes to build the program, and then a second.
#[derive(clap::Args)]
pub struct Arguments {
    /// Name of an image of this project; or, with --program the reference of the new image.
    name: String,
    /// Make the image from this program instead.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Where to write it; without it in `images` beside what cargo builds.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Build the program as it is shipped.
    #[arg(long)]
    release: bool,
}

/// Makes the archive and prints where it is.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let path = match &arguments.program {
        Some(program) => of_program(arguments, program.clone())?,
        None => of_project(arguments)?,
    };
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}

fn of_project(arguments: &Arguments) -> Result<PathBuf> {
    let recipe = products::recipe(&arguments.name)?;
    let profile = if arguments.release { Profile::Release } else { Profile::Dev };
    products::build(&[recipe.package()], profile)?;
    let made = recipe.archive(profile)?;
    let Some(output) = arguments.output.clone() else { return Ok(made) };
    std::fs::copy(&made, &output)?;
    Ok(output)
}

fn of_program(arguments: &Arguments, program: PathBuf) -> Result<PathBuf> {
    let output = arguments.output.clone().unwrap_or_else(|| {
        let name = program.file_name().unwrap_or_default();
        products::images(Profile::Dev).join(name).with_extension("tar")
    });
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let archive = Archive { references: vec![arguments.name.clone()], program, ..Archive::default() };
    archive.write(&output)?;
    Ok(output)
}
