//! The one cluster of a plan: what its profiles ask for together, or in what they differ.

use super::PlanError;
use crate::profile::Profile;
use crate::settings::{CONSUMER_PROTOCOL, ClusterAsk};

/// Settings of the brokers that reach nobody but members of the consumer protocol.
const OF_MEMBERS: &str = "group.consumer.";

/// The cluster that fits all profiles: the same in everything but the warm-up, of which the longest counts, and in settings
/// that do not reach whoever leaves them open.
///
/// # Errors
/// There is no profile, or two of them differ.
pub(super) fn cluster(profiles: &[Profile]) -> Result<ClusterAsk, PlanError> {
    let first = profiles.first().ok_or(PlanError::NoProfile)?;
    let mut ask = first.cluster.clone();
    for (index, profile) in profiles.iter().enumerate().skip(1) {
        if let Some((other, what)) =
            profiles[..index].iter().find_map(|other| Some((other, difference(other, profile)?)))
        {
            return Err(PlanError::Clusters { first: other.name.clone(), other: profile.name.clone(), what });
        }
        let theirs = &profile.cluster;
        ask.settings.extend(theirs.settings.clone());
        ask.warm_limit_ns = ask.warm_limit_ns.max(theirs.warm_limit_ns);
        ask.stated.brokers |= theirs.stated.brokers;
        ask.stated.heap |= theirs.stated.heap;
    }
    Ok(ask)
}

/// The first thing in which two profiles ask for different clusters, with both values.
fn difference(one: &Profile, other: &Profile) -> Option<String> {
    let (ours, theirs) = (&one.cluster, &other.cluster);
    let differs = [
        ("brokers", ours.brokers.to_string(), theirs.brokers.to_string()),
        ("heap", format!("{} B", ours.heap_bytes), format!("{} B", theirs.heap_bytes)),
    ];
    if let Some((what, ours, theirs)) = differs.into_iter().find(|(_, ours, theirs)| ours != theirs) {
        return Some(format!("{what} {ours} and {theirs}"));
    }
    let value = |profile: &Profile, setting: &str| match profile.cluster.settings.get(setting) {
        Some(value) => Some(value.clone()),
        None => concerns(profile, setting).then(|| "left as it is".to_owned()),
    };
    ours.settings.keys().chain(theirs.settings.keys()).find_map(|setting| {
        let (ours, theirs) = (value(one, setting)?, value(other, setting)?);
        (ours != theirs).then(|| format!("{setting} {ours} and {theirs}"))
    })
}

/// Some cell of the profile behaves differently under another value of the setting, as far as its name tells.
fn concerns(profile: &Profile, setting: &str) -> bool {
    let mut groups = profile.combinations.iter().filter_map(|cell| cell.settings.group.as_ref());
    !setting.starts_with(OF_MEMBERS) || groups.any(|group| group.protocol == CONSUMER_PROTOCOL)
}
