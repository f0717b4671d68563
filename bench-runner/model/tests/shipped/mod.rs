//! Profiles as they ship.

use bench_model::plan::{self, Cell};
use bench_model::profile;
use std::path::Path;

/// All cells of a profile, by its place below `profiles/` without the ending.
pub fn cells(name: &str) -> Vec<Cell> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../profiles/{name}.toml"));
    let text = std::fs::read_to_string(path).expect("the profile ships");
    let profile = profile::parse(name, &text, &[], &());
    let profile = profile.unwrap_or_else(|errors| panic!("{:?}", miette::Report::new(errors)));
    let plan = plan::build(&[profile], &[]).expect("within limits");
    assert!(plan.skipped.is_empty(), "{:?}", plan.skipped);
    plan.cells
}
