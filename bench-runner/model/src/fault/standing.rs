//! Who is stopped or dead after some steps of a timeline, as far as a profile can tell: by role, since brokers are not known.

use super::{Action, FaultStep, Target};

/// A part that processes play in a cell; no process has two of them, save those that may be any broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Leads partition 0 at the start.
    Leader,
    /// Its first follower.
    Follower,
    /// Its other followers.
    OtherFollowers,
    /// Has no replica of it.
    Bystanders,
    /// The controller.
    Controller,
    /// Coordinates: may be any broker.
    Coordinator,
    /// Drawn at random: may be any broker.
    Random,
    /// Leads when a step is due: may be any broker.
    CurrentLeader,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It runs.
    Runs,
    /// It is stopped.
    Stopped,
    /// It runs, and is cut off from its peers.
    Isolated,
    /// It is dead.
    Dead,
}

impl Target {
    /// All, in the order of their names in messages.
    pub const ALL: [Target; 10] = [
        Target::Leader,
        Target::Followers,
        Target::Follower,
        Target::OtherFollowers,
        Target::All,
        Target::Controller,
        Target::Coordinator,
        Target::Random,
        Target::CurrentLeader,
        Target::Topic,
    ];

    /// As profiles write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Target::Leader => "leader",
            Target::Followers => "followers",
            Target::Follower => "follower",
            Target::OtherFollowers => "other-followers",
            Target::All => "all",
            Target::Controller => "controller",
            Target::Coordinator => "coordinator",
            Target::Random => "random",
            Target::CurrentLeader => "current-leader",
            Target::Topic => "topic",
        }
    }

    /// Who is meant.
    pub fn roles(self) -> &'static [Role] {
        match self {
            Target::Leader => &[Role::Leader],
            Target::Followers => &[Role::Follower, Role::OtherFollowers],
            Target::Follower => &[Role::Follower],
            Target::OtherFollowers => &[Role::OtherFollowers],
            Target::All => &[Role::Leader, Role::Follower, Role::OtherFollowers, Role::Bystanders],
            Target::Controller => &[Role::Controller],
            Target::Coordinator => &[Role::Coordinator],
            Target::Random => &[Role::Random],
            Target::CurrentLeader => &[Role::CurrentLeader],
            Target::Topic => &[],
        }
    }

    /// Brokers are meant.
    pub fn is_broker(self) -> bool {
        !matches!(self, Target::Controller | Target::Topic)
    }

    /// It is, or may be, the leader of partition 0.
    pub fn leads(self) -> bool {
        self.roles().contains(&Role::Leader) || self == Target::CurrentLeader
    }
}

/// How a role stands after the steps, whatever its proxy does and the topic's administration.
pub fn standing(steps: &[FaultStep], role: Role) -> Standing {
    let of_role = |step: &&FaultStep| {
        step.target.roles().contains(&role) && !step.action.is_at_proxy() && !step.action.is_of_topic()
    };
    match steps.iter().rev().find(of_role).map(|step| step.action) {
        Some(Action::Stop) => Standing::Stopped,
        Some(action) if action.isolates() => Standing::Isolated,
        Some(action) if action.ends() => Standing::Dead,
        _ => Standing::Runs,
    }
}

/// The proxy of a role has a rule after the steps.
fn is_ruled(steps: &[FaultStep], role: Role) -> bool {
    let of_role = |step: &&FaultStep| {
        step.target.roles().contains(&role) && (step.action.has_rule() || step.action == Action::Pass)
    };
    steps.iter().rev().find(of_role).is_some_and(|step| step.action != Action::Pass)
}

/// The topic's administration has changed something of this target, and it is not undone after the steps.
pub fn is_altered(steps: &[FaultStep], target: Target) -> bool {
    let of_target = |step: &&FaultStep| step.target == target && step.action.is_of_topic();
    steps.iter().rev().find(of_target).is_some_and(|step| step.action.undo() == Some(Action::Restore))
}

/// Targets that hold everybody whom the steps leave stopped, dead or behind a proxy with a rule, the widest first, none of them
/// in another; the topic, where its settings are left changed.
pub fn left(steps: &[FaultStep]) -> Vec<Target> {
    let broken = |role: &Role| standing(steps, *role) != Standing::Runs || is_ruled(steps, *role);
    let by_width = [
        Target::All,
        Target::Followers,
        Target::Leader,
        Target::Follower,
        Target::OtherFollowers,
        Target::Controller,
        Target::Coordinator,
        Target::Random,
        Target::CurrentLeader,
    ];
    let mut told: Vec<Target> = Vec::new();
    for target in by_width.into_iter().filter(|target| target.roles().iter().all(broken)) {
        let held = |wider: &Target| target.roles().iter().all(|role| wider.roles().contains(role));
        if !told.iter().any(held) {
            told.push(target);
        }
    }
    if is_altered(steps, Target::Topic) {
        told.push(Target::Topic);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::super::When;
    use super::*;

    fn steps(steps: &[(Action, Target)]) -> Vec<FaultStep> {
        steps.iter().map(|(action, target)| FaultStep::new(When::At(0), *action, *target)).collect()
    }

    #[test]
    fn whoever_was_touched_last_stands_so() {
        let cut = steps(&[(Action::PowerCut, Target::All), (Action::Start, Target::Leader)]);
        assert_eq!(standing(&cut, Role::Leader), Standing::Runs);
        assert_eq!(standing(&cut, Role::Bystanders), Standing::Dead);
        assert_eq!(standing(&cut, Role::Controller), Standing::Runs);
    }

    #[test]
    fn a_proxy_is_left_with_its_rule_until_all_passes_and_the_broker_is_none_the_wiser() {
        let discarded = [(Action::Discard, Target::Leader), (Action::Reset, Target::Leader)];
        assert_eq!(left(&steps(&discarded)), [Target::Leader]);
        assert_eq!(standing(&steps(&discarded), Role::Leader), Standing::Runs);
        let passed = [(Action::Hold, Target::All), (Action::Pass, Target::All)];
        assert_eq!(left(&steps(&passed)), []);
    }

    #[test]
    fn a_topic_is_altered_until_it_is_restored_and_no_process_is() {
        let moved = [(Action::Reassign, Target::Leader), (Action::SetMinIsr, Target::Topic)];
        let moved = steps(&moved);
        assert!(is_altered(&moved, Target::Leader) && is_altered(&moved, Target::Topic));
        assert!(!is_altered(&moved, Target::Follower));
        assert_eq!((standing(&moved, Role::Leader), left(&moved)), (Standing::Runs, vec![Target::Topic]));
        let back = [(Action::Reassign, Target::Leader), (Action::Restore, Target::Leader)];
        assert!(!is_altered(&steps(&back), Target::Leader));
        assert_eq!(left(&steps(&[(Action::Delete, Target::Topic)])), []);
    }

    #[test]
    fn what_is_left_broken_is_told_once() {
        let of = |all: &[(Action, Target)]| left(&steps(all));
        assert_eq!(of(&[(Action::Kill, Target::All)]), [Target::All]);
        assert_eq!(
            of(&[(Action::Kill, Target::Leader), (Action::Stop, Target::Followers)]),
            [Target::Followers, Target::Leader]
        );
        assert_eq!(
            of(&[(Action::Stop, Target::Followers), (Action::Continue, Target::Follower)]),
            [Target::OtherFollowers]
        );
        assert_eq!(of(&[(Action::Stop, Target::Leader), (Action::Continue, Target::Leader)]), []);
    }
}
