//! What an author sees of a wrong profile: place, caret, and what to write instead.

use bench_model::profile::{Profile, ProfileErrors, TALLIES, parse};
use bench_model::settings::Acks;
use bench_model::verdict::TallyKind;
use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;

const VALID: &str = "name = \"p\"\nwhy = \"w\"\n[load]\nrate = \"1k/s\"\n";

fn rendered(errors: &ProfileErrors) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    let mut text = String::new();
    handler.render_report(&mut text, errors).expect("writes to a string");
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn errors(text: &str, overrides: &[&str]) -> ProfileErrors {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    parse("p.toml", text, &overrides, &()).expect_err("this profile is wrong")
}

fn valid(text: &str, overrides: &[&str]) -> Profile {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    parse("p.toml", text, &overrides, &()).unwrap_or_else(|errors| panic!("{}", rendered(&errors)))
}

/// The messages, each with its help.
fn told(text: &str, overrides: &[&str]) -> Vec<String> {
    let errors = errors(text, overrides);
    errors.problems().iter().map(|problem| format!("{} | {}", problem.message(), problem.help())).collect()
}

#[test]
fn all_problems_are_shown_at_once_each_under_its_place() {
    let text = include_str!("wrong.toml");
    let errors = errors(text, &["load.rate=5k", "producer.linger=3", "producer.acks"]);
    insta::assert_snapshot!(rendered(&errors));
}

#[test]
fn broken_toml_and_a_key_given_twice_are_shown_in_place() {
    insta::assert_snapshot!(rendered(&errors("name = \"p\"\nname = \"q\"\nwhy = w\n", &[])));
}

#[test]
fn a_profile_without_a_possible_cell_is_refused_with_every_reason() {
    let text =
        format!("{VALID}[[include]]\nacks = 1\nidempotence = true\n[[include]]\nmin-insync-replicas = 4\n");
    insta::assert_snapshot!(rendered(&errors(&text, &[])));
}

#[test]
fn a_single_cell_that_cannot_be_is_shown_where_its_setting_stands() {
    insta::assert_snapshot!(rendered(&errors(&format!("{VALID}[topic]\nmin-insync-replicas = 4\n"), &[])));
}

#[test]
fn a_value_that_no_cell_takes_is_refused_and_one_that_some_take_is_not() {
    let overruled = "no cell has this acks: each takes its own from [matrix] or [[include]] | remove it; matrix.acks is what cells \
                     vary over, and --only picks some of them";
    let varied = format!("{VALID}[matrix]\nacks = [0, 1]\n");
    assert_eq!(told(&varied, &["producer.acks=all"]), [overruled]);
    assert_eq!(told(&format!("{varied}[producer]\nacks = 1\n"), &[]), [overruled]);
    let some = format!("{varied}[[include]]\nlinger = \"1 ms\"\n");
    let acks = |profile: &Profile| {
        profile.combinations.iter().map(|one| one.settings.producer.acks).collect::<Vec<_>>()
    };
    assert_eq!(acks(&valid(&some, &["producer.acks=all"])), [Acks::Zero, Acks::One, Acks::All]);
}

#[test]
fn conflicts_of_the_accounting_contract_are_skipped_with_their_reason() {
    let skipped = |lines: &str| {
        let profile = valid(&format!("{VALID}[[include]]\nlinger = \"1 ms\"\n[[include]]\n{lines}\n"), &[]);
        assert_eq!(profile.combinations.len(), 1);
        profile.impossible[0].reason.clone()
    };
    assert_eq!(skipped("idempotence = true\nacks = 0"), "idempotence needs acks=all, not acks=0");
    assert_eq!(skipped("idempotence = true\nretries = 0"), "idempotence needs retries > 0");
    assert_eq!(
        skipped("idempotence = true\nmax-in-flight = 6"),
        "idempotence needs max-in-flight <= 5, not 6"
    );
    assert_eq!(skipped("replication-factor = 4"), "4 replicas (replication-factor) do not fit on 3 brokers");
    assert_eq!(
        skipped("replication-factor = 1"),
        "min-insync-replicas=2 can never be reached with 1 replica"
    );
    assert!(skipped("record-size = \"1 MB\"").contains("largest message of 1000000 B"));
    assert!(skipped("linger = \"2 min\"").starts_with("linger is not below delivery-timeout"));
}

#[test]
fn overrides_win_and_reach_every_table() {
    let overrides = ["load.rate=5k/s", "producer.acks=1", "matrix.linger=[\"0 s\", \"5 ms\"]", "name=other"];
    let more = ["topic.settings.unclean.leader.election.enable=true"];
    let profile = valid(VALID, &[&overrides[..], &more[..]].concat());
    assert_eq!(profile.name, "other");
    assert_eq!(profile.combinations.len(), 2);
    let settings = &profile.combinations[0].settings;
    assert_eq!(settings.producer.acks.as_str(), "1");
    assert_eq!(settings.topic.extra["unclean.leader.election.enable"], "true");
}

#[test]
fn what_excludes_each_other_is_named() {
    let bursts = "bursts = [{ at = \"0 s\", records = 1 }]\n";
    let with_rate = told(&format!("{VALID}{bursts}"), &[]);
    assert!(with_rate[0].starts_with("rate and bursts exclude each other"), "{with_rate:?}");
    let nothing = told("name = \"p\"\nwhy = \"w\"\n", &[]);
    assert!(nothing[0].starts_with("the profile does not say when records are due"), "{nothing:?}");
    let axis = told(&format!("name = \"p\"\nwhy = \"w\"\n[load]\n{bursts}[matrix]\nrate = [\"1/s\"]\n"), &[]);
    assert!(axis[0].starts_with("bursts say when every record is due"), "{axis:?}");
}

#[test]
fn a_setting_of_brokers_or_topics_that_kafka_does_not_know_is_refused() {
    let answer = |section: &str, name: &str| {
        let [problem] = told(VALID, &[&format!("{section}.settings={{ \"{name}\" = \"1\" }}")])
            .try_into()
            .expect("one problem");
        problem
    };
    let expected = "settings: num.io.thread is no broker setting | did you mean num.io.threads?";
    assert_eq!(answer("cluster", "num.io.thread"), expected);
    let expected = "settings: segment.byte is no topic setting | did you mean segment.bytes?";
    assert_eq!(answer("topic", "segment.byte"), expected);
    let slip_of_an_owned_one = answer("topic", "min.insync.replica");
    assert!(
        slip_of_an_owned_one
            .ends_with("did you mean min.insync.replicas? write min-insync-replicas = … in [topic]")
    );
    let both = told(VALID, &["topic.settings={ \"segment.byte\" = \"1\", \"retention.ms\" = \"soon\" }"]);
    assert_eq!(both.len(), 2, "everything wrong at once: {both:?}");
    assert!(answer("cluster", "no.such.thing").ends_with("as its documentation spells it"));
    for name in
        ["listeners", "controller.quorum.voters", "log.retention.ms", "log.cleanup.policy", "ssl.protocol"]
    {
        assert!(
            answer("cluster", name).contains(&format!("{name} cannot be set here | remove it")),
            "{name}"
        );
    }
    valid(
        VALID,
        &["cluster.settings={ \"log.retention.check.interval.ms\" = 1000, \"num.io.threads\" = 8 }"],
    );
    valid(VALID, &["topic.settings={ \"segment.bytes\" = 1048576, \"cleanup.policy\" = \"delete\" }"]);
}

#[test]
fn a_key_under_its_name_elsewhere_is_understood() {
    for (written, meant) in [
        ("topic.min-isr=1", "min-insync-replicas"),
        ("topic.min_isr=1", "min-insync-replicas"),
        ("topic.minISR=1", "min-insync-replicas"),
        ("topic.min_insync_replicas=1", "min-insync-replicas"),
        ("matrix.min-isr=1", "min-insync-replicas"),
        ("topic.rf=1", "replication-factor"),
        ("load.message_size=1", "record-size"),
        ("load.warm-up=1", "warmup"),
        ("producer.queue_buffering_max_ms=1", "linger"),
        ("producer.enable_idempotence=true", "idempotence"),
    ] {
        let answer = told(VALID, &[written]);
        assert!(answer[0].ends_with(&format!("did you mean {meant}?")), "{written}: {answer:?}");
    }
    // An alias counts only where its key is one.
    assert!(told(VALID, &["producer.rf=1"])[0].contains("known keys"));
}

#[test]
fn a_window_without_a_whole_second_is_refused() {
    let window =
        |warmup: &str, duration: &str| [format!("load.warmup={warmup}"), format!("load.duration={duration}")];
    for (warmup, duration) in [("200ms", "800ms"), ("200ms", "1799ms"), ("0s", "999ms"), ("3s", "1ms")] {
        let [first, second] = window(warmup, duration);
        let answer = told(VALID, &[&first, &second]);
        assert!(answer[0].starts_with("duration: no whole second lies between"), "{answer:?}");
    }
    for (warmup, duration) in [("0s", "1s"), ("200ms", "1800ms"), ("3s", "1s")] {
        let [first, second] = window(warmup, duration);
        valid(VALID, &[&first, &second]);
    }
    let answer = told(VALID, &["load.warmup=100ms", "load.duration=900ms"]);
    assert!(answer[0].ends_with("write warmup = \"1 s\" and duration = \"1 s\" or more"), "{answer:?}");
}

#[test]
fn cells_excludes_and_expectations_that_hit_nothing_are_slips() {
    let twice = told(&format!("{VALID}[matrix]\nacks = [0, 1]\n[[include]]\nacks = 1\n"), &[]);
    assert!(twice[0].starts_with("this cell is there already"), "{twice:?}");
    let exclude = told(&format!("{VALID}[matrix]\nacks = [0, 1]\n[[exclude]]\nacks = \"all\"\n"), &[]);
    assert!(exclude[0].starts_with("this exclude matches no cell"), "{exclude:?}");
    let expect = told(&format!("{VALID}[[expect]]\ncells = {{ acks = 1 }}\nlog_loss = 0\n"), &[]);
    assert!(expect[0].starts_with("this expect matches no cell"), "{expect:?}");
    let contradiction = told(&format!("{VALID}[[expect]]\nlog_loss = 0\n[[expect]]\nlog_loss = 1\n"), &[]);
    assert!(
        contradiction[0].starts_with("log_loss of cell \"base\" has two expected counts"),
        "{contradiction:?}"
    );
}

#[test]
fn fault_steps_that_cannot_follow_each_other_are_refused() {
    let step = |when: &str, action: &str, target: &str| {
        format!("[[fault]]\n{when}\naction = \"{action}\"\ntarget = \"{target}\"\n")
    };
    let first = |steps: &[String]| told(&format!("{VALID}{}", steps.concat()), &[])[0].clone();
    let (one, two) = ("at = \"1 s\"", "at = \"2 s\"");
    assert!(first(&[step(one, "continue", "leader")]).starts_with("the target is not in the state"));
    let back = first(&[step(two, "stop", "leader"), step(one, "continue", "leader")]);
    assert!(back.starts_with("this step is due before"));
    let idle =
        first(&[step(one, "stop", "followers"), step("when = \"new-leader\"", "continue", "followers")]);
    assert!(idle.starts_with("nothing above makes the leader move"));
    let both = first(&[step("at = \"1 s\"\nwhen = \"new-leader\"", "stop", "leader")]);
    assert!(both.starts_with("a fault step happens at an instant or when"));
}

#[test]
fn a_fault_after_the_load_is_refused_and_an_undo_after_the_drain() {
    let load = "name = \"p\"\nwhy = \"w\"\n[load]\ndrain = \"30 s\"\n";
    let rate = format!("{load}rate = \"1k/s\"\nwarmup = \"2 s\"\nduration = \"8 s\"\n");
    let bursts =
        format!("{load}bursts = [{{ at = \"0 s\", records = 1 }}, {{ at = \"10 s\", records = 1 }}]\n");
    let sent = format!("{load}rate = \"max\"\nrecords = 1000\n");
    let steps = |at: &str, undone: &str| {
        let step = |at: &str, action: &str| {
            format!("[[fault]]\nat = \"{at}\"\naction = \"{action}\"\ntarget = \"leader\"\n")
        };
        [step(at, "kill"), step(undone, "start")].concat()
    };
    for (load, at, undone) in [(&rate, "10 s", "40 s"), (&bursts, "40 s", "40 s"), (&sent, "1 min", "2 min")]
    {
        valid(&format!("{load}{}", steps(at, undone)), &[]);
    }
    let late = told(&format!("{rate}{}", steps("10001 ms", "40 s")), &[]);
    let expected =
        "10001 ms is too late: the load ends at 10 s | write an instant up to \"10 s\", or lengthen the load";
    assert_eq!(late, [expected]);
    for load in [&rate, &bursts] {
        let late = told(&format!("{load}{}", steps("9 s", "40001 ms")), &[]);
        assert!(late[0].starts_with("40001 ms is too late: the cell is over at 40 s"), "{late:?}");
    }
}

#[test]
fn every_tally_can_be_expected_by_its_own_name() {
    for name in TALLIES {
        serde_json::from_value::<TallyKind>(name.into()).expect(name);
    }
    let unknown = serde_json::from_value::<TallyKind>("no_such_tally".into()).unwrap_err().to_string();
    assert_eq!(unknown.matches('`').count() / 2 - 1, TALLIES.len(), "{unknown}");
}

proptest! {
    #[test]
    fn whatever_is_written_is_answered_without_a_panic(
        line in "[a-z\\-]{0,8} ?=? ?[\\[\\]{}\"0-9a-zA-Z .,/%=-]{0,20}",
        at in 0..4usize,
        set in "[a-z.]{0,12}=?[ -~]{0,12}",
    ) {
        let mut lines: Vec<&str> = VALID.lines().collect();
        lines.insert(at, &line);
        let _ = parse("p.toml", &lines.join("\n"), std::slice::from_ref(&set), &());
    }
}
