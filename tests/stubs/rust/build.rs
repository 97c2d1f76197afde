//! Generates the client from `protos/`.

use std::{error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=protos");
    let protos = fs::read_dir("protos/proa/v1")?
        .map(|entry| entry.map(|file| file.path()))
        .collect::<Result<Vec<PathBuf>, _>>()?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_protos(&protos, &[PathBuf::from("protos")])?;
    Ok(())
}
