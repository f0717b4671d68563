//! Consumer groups through the real binary on a real local cluster: members die where their recipes say, and exactly what
//! arithmetic predicts is lost or processed again. Needs Java 17 (and Maven once).

use recipes::{count, fine};

mod recipes;

#[test]
fn members_that_die_at_a_record_lose_and_repeat_what_arithmetic_says_and_verify_agrees() {
    let cold = ["c1", "c2", "c3", "c7"].map(|name| format!("{name}:cluster.warm=0s"));
    let [c1, c2, c3, c7] = &cold;
    let profiles = ["recipes/c1.toml", "recipes/c2.toml", "recipes/c3.toml", "recipes/c7.toml"];
    let (cells, _) = fine(&[&profiles[..], &["--set", c1, "--set", c2, "--set", c3, "--set", c7]].concat());
    assert!(cells.iter().any(|cell| count(cell, "processing_loss") > 0), "a control that loses");
    assert!(cells.iter().any(|cell| count(cell, "redelivery") > 0), "a control that repeats");
}
