//! Profiles and arguments through the real binary: what `check` and `plan` print, and what is said of wrong ones.

#[test]
fn every_example_is_answered_as_written() {
    trycmd::TestCases::new().case("tests/cli_profiles/*.trycmd");
}
