//! `check` and `plan` through the real binary: what is printed, and the exit codes of wrong profiles and arguments.

#[test]
fn check_and_plan_answer_as_written() {
    trycmd::TestCases::new().case("tests/cli_profiles/*.trycmd");
}
