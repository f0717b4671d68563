//! Fault timelines in profiles: what is refused, with its place, and which cells have which.

use bench_model::fault::{Action, Api, Lose, Refusal, Target, When};
use bench_model::plan;
use bench_model::profile::{Profile, ProfileErrors, parse};
use miette::{GraphicalReportHandler, GraphicalTheme};

const VALID: &str = "name = \"p\"\nwhy = \"w\"\n[load]\nrate = \"1k/s\"\n";
const MS: u64 = 1_000_000;

fn rendered(errors: &ProfileErrors) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    let mut text = String::new();
    handler.render_report(&mut text, errors).expect("writes to a string");
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn valid(text: &str) -> Profile {
    parse("p.toml", text, &[], &()).unwrap_or_else(|errors| panic!("{}", rendered(&errors)))
}

/// One step as a profile writes it.
fn step(when: &str, action: &str, target: &str) -> String {
    format!("[[fault]]\n{when}\naction = \"{action}\"\ntarget = \"{target}\"\n")
}

/// The first problem of a profile with these steps, with its help.
fn told(steps: &[String]) -> String {
    let errors = parse("p.toml", &format!("{VALID}{}", steps.concat()), &[], &()).expect_err("wrong");
    format!("{} | {}", errors.problems()[0].message(), errors.problems()[0].help())
}

#[test]
fn wrong_values_are_shown_each_under_its_place() {
    let errors = parse("p.toml", include_str!("wrong_faults.toml"), &[], &()).expect_err("wrong");
    insta::assert_snapshot!(rendered(&errors));
}

#[test]
fn a_timeline_without_steps_and_a_step_without_a_timeline_are_slips() {
    let of = |fault: &str, cells: &str| {
        let text =
            format!("{VALID}[matrix]\nfault = {fault}\n{}{cells}\n", step("at = \"1 s\"", "kill", "leader"));
        rendered(&parse("p.toml", &text, &[], &()).expect_err("wrong"))
    };
    let all = [
        of("[\"none\", \"dead\"]", ""),
        of("[\"none\", \"dead\"]", "cells = { fault = \"daed\" }"),
        of("[\"dead\", \"other\"]", "cells = { fault = \"dead\" }"),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_step_is_repeated_with_its_undo_and_each_repeat_needs_its_broker() {
    let soak = |more: &str| step("at = \"1 s\"", "kill", "current-leader") + more;
    let profile = valid(&format!("{VALID}{}", soak("for = \"2 s\"\ntimes = 3\nevery = \"4 s\"\n")));
    let steps = &profile.combinations[0].faults;
    let at: Vec<_> = steps.iter().step_by(2).map(|step| (step.action, step.when)).collect();
    assert_eq!(at, [1_000, 5_000, 9_000].map(|ms| (Action::Kill, When::At(ms * MS))));
    let undone = steps.iter().skip(1).step_by(2).all(|step| {
        (step.action, step.when, step.target)
            == (Action::Start, When::After(2_000 * MS), Target::CurrentLeader)
    });
    assert!(undone && steps.len() == 6);
    let once = valid(&format!("{VALID}{}", soak("for = \"2 s\"\n")));
    assert_eq!(once.combinations[0].faults.len(), 2);

    assert!(told(&[soak("for = \"4 s\"\ntimes = 3\nevery = \"4 s\"\n")]).contains("before it is undone"));
    assert!(told(&[soak("times = 3\nevery = \"4 s\"\n")]).contains("belong together"));
    assert!(told(&[soak("for = \"2 s\"\ntimes = 3\nevery = \"9 s\"\n")]).contains("too late"));
    let starts = step("at = \"2 s\"", "start", "current-leader") + "for = \"2 s\"\n";
    assert!(told(&[soak(""), starts]).contains("has no length"));
    let mixed = [soak(""), step("at = \"2 s\"", "stop", "followers")];
    assert!(told(&mixed).contains("known only when the step is due"));
}

#[test]
fn each_step_needs_its_brokers_in_the_right_state() {
    let (one, two, three) = ("at = \"1 s\"", "at = \"2 s\"", "at = \"3 s\"");
    let misplaced = "the target is not in the state that this step needs";
    for steps in [
        [step(one, "stop", "leader"), step(two, "terminate", "leader")],
        [step(one, "kill", "all"), step(two, "power-cut", "leader")],
        [step(one, "kill", "leader"), step(two, "start", "all")],
        [step(one, "stop", "follower"), step(two, "continue", "followers")],
        [step(one, "terminate", "all"), step(two, "stop", "follower")],
    ] {
        assert!(told(&steps).starts_with(misplaced), "{steps:?}");
    }
    for steps in [
        vec![step(one, "stop", "followers"), step(two, "continue", "follower")],
        vec![step(one, "power-cut", "all"), step(two, "start", "leader"), step(three, "start", "followers")],
        vec![step(one, "stop", "all"), step(two, "kill", "all"), step(three, "start", "all")],
        vec![step(one, "kill", "controller"), step(two, "kill", "random"), step(three, "start", "random")],
        vec![step("acked = 100", "terminate", "leader"), step("after = \"1 s\"", "start", "leader")],
    ] {
        let text = format!("{VALID}{}", steps.concat());
        assert_eq!(valid(&text).combinations[0].faults.len(), steps.len(), "{steps:?}");
    }
    assert!(
        told(&[step("after = \"1 s\"", "kill", "leader")]).starts_with("there is no step above this one")
    );
    let controller = told(&[step(one, "power-cut", "controller")]);
    assert!(controller.starts_with("the controller flushes its log before it answers"), "{controller}");
    let drawn = told(&[step(one, "kill", "random"), step(two, "stop", "followers")]);
    assert!(drawn.starts_with("a broker that is known only when the step is due may be one"), "{drawn}");
    let followers =
        told(&[step(one, "stop", "followers"), step("when = \"new-leader\"", "continue", "followers")]);
    assert!(followers.starts_with("nothing above makes the leader move"), "{followers}");
}

#[test]
fn a_topic_is_administered_by_steps_that_fit_it_and_the_plan_says_so() {
    let (one, two, three) = ("at = \"1 s\"", "at = \"2 s\"", "at = \"3 s\"");
    let raise = |at: &str| step(&format!("{at}\nmin-insync-replicas = 3"), "set-min-isr", "topic");
    let wrong = [
        (vec![step(one, "set-min-isr", "topic")], "to what is it to be set?"),
        (vec![step("at = \"1 s\"\nmin-insync-replicas = 3", "kill", "leader")], "only set-min-isr changes"),
        (
            vec![step("at = \"1 s\"\nmin-insync-replicas = 4", "set-min-isr", "topic")],
            "4 can never be in sync",
        ),
        (vec![step(one, "kill", "topic")], "kill is nothing that can be done to topic"),
        (vec![step(one, "delete", "leader")], "delete is nothing that can be done to leader"),
        (vec![step(one, "reassign", "all")], "reassign is nothing that can be done to all"),
        (
            vec![step(one, "reassign", "leader")],
            "cell \"base\" has no brokers to move to: 3 replicas, 1 of them to move, and 3 brokers",
        ),
        (vec![step(one, "restore", "topic")], "nothing above has changed anything of topic"),
        (
            vec![raise(one), step(two, "restore", "topic"), step(three, "restore", "topic")],
            "nothing above has changed",
        ),
        (vec![step(one, "delete", "topic"), step(two, "kill", "leader")], "the topic is deleted before"),
        (vec![step(one, "fill-disk", "controller")], "the controller's disk is left alone"),
        (
            vec![step(one, "fill-disk", "leader"), step(two, "write-protect", "leader")],
            "the target is not in the state",
        ),
        (vec![step("at = \"1 s\"\nfor = \"1 s\"", "delete", "topic")], "nothing undoes this action"),
    ];
    for (steps, expected) in wrong {
        assert!(told(&steps).contains(expected), "{} instead of {expected}", told(&steps));
    }
    let four = |steps: &[String]| format!("{VALID}[cluster]\nbrokers = 4\n{}", steps.concat());
    let moves = [step(one, "reassign", "leader"), step(two, "reassign", "follower")];
    let twice = parse("p.toml", &four(&moves), &[], &()).expect_err("wrong");
    assert_eq!(twice.problems()[0].message(), "replicas have moved already");
    let elects = [step(one, "reassign", "follower"), step(two, "elect", "follower")];
    assert!(parse("p.toml", &four(&elects), &[], &()).is_err());
    let both =
        [raise(one), step(two, "reassign", "leader"), step("when = \"new-leader\"", "restore", "leader")];
    let plan = plan::build(&[valid(&four(&both))], &[]).expect("a plan");
    let planned = plan.cells[0].effective().into_iter().find(|(key, _)| key == "fault");
    let expected = "set min.insync.replicas of topic to 3 at 1 s, reassign replicas of leader at 2 s, restore replicas of leader when new-leader, heal topic after the load";
    assert_eq!(planned.map(|(_, text)| text).as_deref(), Some(expected));
    let others = [
        ("[consumer]\n", "has a group"),
        ("[producer]\nidempotence = true\ntransaction = 100\n", "has transactions"),
    ];
    for (section, expected) in others {
        let text = format!("{VALID}{section}{}", step(one, "delete", "topic"));
        let errors = parse("p.toml", &text, &[], &()).expect_err("wrong");
        assert!(errors.problems()[0].message().contains(expected), "{}", errors.problems()[0].message());
    }
}

#[test]
fn data_that_lie_in_memory_so_that_disks_can_be_filled_count_as_memory_and_have_no_power_cut() {
    let plan = |steps: &[String]| plan::build(&[valid(&format!("{VALID}{}", steps.concat()))], &[]);
    let (fill, cut) =
        (step("at = \"1 s\"", "fill-disk", "leader"), step("at = \"2 s\"", "power-cut", "follower"));
    let [kills, fills] = [plan(&[step("at = \"1 s\"", "kill", "leader")]), plan(std::slice::from_ref(&fill))]
        .map(|plan| plan.expect("a plan"));
    assert!(fills.fills_disks() && !kills.fills_disks());
    let more = fills.estimate.memory_bytes - kills.estimate.memory_bytes;
    assert_eq!(more, fills.estimate.disk_bytes);
    let both = plan(&[fill, cut]).expect_err("in one run they cannot be");
    assert!(both.to_string().contains("p.base.r0 fills a disk and p.base.r0 cuts the power"), "{both}");
}

#[test]
fn steps_at_proxies_stand_beside_those_of_their_brokers() {
    let discard = step("at = \"1 s\"\napi = \"produce\"", "discard", "all");
    let kill = step("at = \"2 s\"", "kill", "leader");
    let text = format!("{VALID}{}{}", discard, kill);
    let plan = plan::build(&[valid(&text)], &[]).expect("a plan");
    let planned = plan.cells[0].effective().into_iter().find(|(key, _)| key == "fault");
    let expected = "discard produce at the proxy of all at 1 s, kill leader at 2 s, heal all after the load";
    assert_eq!(planned.map(|(_, text)| text).as_deref(), Some(expected));
    assert!(plan.cells[0].is_proxied());
    let wait = "at = \"1 s\"\napi = \"end-txn\"\nrequests = 1\nerror = \"not-coordinator\"\nwait = \"2 s\"";
    let rule = valid(&format!("{VALID}{}", step(wait, "refuse", "random"))).combinations[0].faults[0].rule;
    let rule = rule.expect("a rule");
    assert_eq!((rule.api, rule.requests, rule.wait_ns), (Api::EndTxn, Some(1), Some(2_000 * MS)));
    assert_eq!(rule.error, Some(Refusal::NotCoordinator));
    let nobody = told(&[step("at = \"1 s\"", "reset", "controller")]);
    assert!(nobody.starts_with("there is no proxy in front of the controller"), "{nobody}");
    let moved = told(&[discard, step("when = \"new-leader\"", "kill", "leader")]);
    assert!(moved.starts_with("nothing above makes the leader move"), "{moved}");
}

#[test]
fn a_lie_is_about_the_requests_that_it_can_be_told_of() {
    let lie = |action: &str, more: &str| step(&format!("at = \"1 s\"\n{more}"), action, "leader");
    let text = format!("{VALID}{}", lie("truncate", "api = \"fetch\"\noffset = 10"));
    let plan = plan::build(&[valid(&text)], &[]).expect("a plan");
    let planned = plan.cells[0].effective().into_iter().find(|(key, _)| key == "fault");
    let expected = "truncate fetch at the proxy of leader at 1 s (offset 10), heal leader after the load";
    assert_eq!(planned.map(|(_, text)| text).as_deref(), Some(expected));
    assert!(plan.cells[0].is_proxied() && plan.cells[0].lies_to_readers());
    for (action, more, problem) in [
        ("swap", "api = \"fetch\"", "does not swap these requests | write api = \"produce\""),
        ("truncate", "api = \"produce\"\noffset = 1", "does not truncate these requests"),
        ("truncate", "api = \"fetch\"", "where is the log to seem to end?"),
        ("truncate", "api = \"fetch\"\noffset = 1\nrequests = 1", "not about so many requests"),
        ("duplicate", "api = \"produce\"\noffset = 1", "only truncate ends a log"),
        ("acknowledge", "", "which requests is this step about?"),
    ] {
        let told = told(&[lie(action, more)]);
        assert!(told.contains(problem), "{action}: {told}");
    }
    let honest = valid(&format!("{VALID}{}", lie("swap", "api = \"produce\"")));
    assert!(!plan::build(&[honest], &[]).expect("a plan").cells[0].lies_to_readers());
}

#[test]
fn a_power_cut_loses_all_a_time_or_a_size() {
    let lose = |lose: &str| {
        let text = format!("{VALID}{}{lose}\n", step("at = \"1 s\"", "power-cut", "all"));
        valid(&text).combinations[0].faults[0].lose
    };
    assert_eq!(lose(""), Some(Lose::All));
    assert_eq!(lose("lose = \"all\""), Some(Lose::All));
    assert_eq!(lose("lose = \"2 s\""), Some(Lose::Time(2_000 * MS)));
    assert_eq!(lose("lose = \"64 KiB\""), Some(Lose::Bytes(64 << 10)));
}

#[test]
fn each_cell_has_the_steps_that_match_it_and_its_plan_says_so() {
    let steps = [
        step("at = \"1 s\"\ncells = { fault = \"cut\" }", "power-cut", "all"),
        step("after = \"1 s\"\ncells = { fault = \"cut\" }", "start", "leader"),
        step("at = \"2 s\"\ncells = { fault = \"still\" }", "stop", "follower"),
    ];
    let text = format!("{VALID}[matrix]\nfault = [\"none\", \"cut\", \"still\"]\n{}", steps.concat());
    let plan = plan::build(&[valid(&text)], &[]).expect("a plan");
    let told = |label: &str| {
        let cell = plan.cells.iter().find(|cell| cell.label == label).expect(label);
        cell.effective().into_iter().find(|(key, _)| key == "fault").map(|(_, text)| text)
    };
    assert_eq!(told("fault=none"), None);
    let cut = "power-cut all at 1 s (lose all), start leader after 1 s, heal followers after the load";
    assert_eq!(told("fault=cut").as_deref(), Some(cut));
    assert_eq!(told("fault=still").as_deref(), Some("stop follower at 2 s, heal follower after the load"));
}

#[test]
fn topic_settings_that_are_axes_reach_the_topic_and_give_way_to_none_of_the_same_name() {
    let text =
        format!("{VALID}[matrix]\nunclean-election = [true, false]\nflush-messages = [1, \"never\"]\n");
    let settings = |label: &str| {
        let profile = valid(&text);
        let cell = profile.combinations.into_iter().find(|cell| cell.label == label).expect(label);
        cell.settings.topic.extra.into_iter().collect::<Vec<_>>()
    };
    let both = [("flush.messages", "1"), ("unclean.leader.election.enable", "true")];
    let both: Vec<_> = both.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    assert_eq!(settings("unclean-election=true, flush-messages=1"), both);
    assert_eq!(settings("unclean-election=false, flush-messages=never"), []);
}
