//! The controls of a run: shipped recipes that make one anomaly each, added to profiles that ask for them.

use super::exit::{Exit, Failure};
use crate::kafka::offline::Offline;
use bench_model::profile::{self, Profile};

/// Loss, duplicates, processing loss and redelivery: name, text, and the cells that make the anomaly.
const RECIPES: [(&str, &str, &str); 4] = [
    ("l1", include_str!("../../../profiles/recipes/l1.toml"), "acks=1"),
    ("d4", include_str!("../../../profiles/recipes/d4.toml"), "acks=all"),
    ("c1", include_str!("../../../profiles/recipes/c1.toml"), "commit=sync-before"),
    ("c2", include_str!("../../../profiles/recipes/c2.toml"), "commit=sync-after"),
];

/// Adds the recipes that are not named already, where a profile has `controls = true`: the one cell of each that makes its
/// anomaly, on the cluster that the first profile asks for.
pub fn add(profiles: &mut Vec<Profile>) -> Result<(), Failure> {
    let Some(first) = profiles.first().filter(|_| profiles.iter().any(|profile| profile.controls)) else {
        return Ok(());
    };
    let cluster = first.cluster.clone();
    for (name, text, label) in RECIPES {
        if profiles.iter().any(|profile| profile.name == name) {
            continue;
        }
        let file = format!("profiles/recipes/{name}.toml");
        let mut recipe = profile::parse(&file, text, &[], &Offline)
            .map_err(|errors| Failure::new(Exit::Profile, errors))?;
        recipe.combinations.retain(|cell| cell.label == label);
        recipe.cluster = cluster.clone();
        profiles.push(recipe);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(controls: bool) -> Vec<Profile> {
        let text = format!(
            "name = \"mine\"\nwhy = \"?\"\ncontrols = {controls}\n[cluster]\nwarm = \"0 s\"\n[load]\nrate = \"1k/s\"\n"
        );
        vec![profile::parse("mine.toml", &text, &[], &Offline).expect("a profile")]
    }

    #[test]
    fn every_control_is_one_cell_that_expects_something() {
        let mut profiles = asking(true);
        add(&mut profiles).expect("recipes are profiles");
        assert_eq!(profiles.len(), 1 + RECIPES.len());
        for recipe in &profiles[1..] {
            assert_eq!(recipe.combinations.len(), 1, "{}", recipe.name);
            assert!(recipe.combinations[0].expect.values().any(|count| *count > 0), "{}", recipe.name);
            assert_eq!(recipe.cluster, profiles[0].cluster);
        }
        let named = profiles.len();
        add(&mut profiles).expect("recipes are profiles");
        assert_eq!(profiles.len(), named, "none is added twice");
    }

    #[test]
    fn nobody_gets_controls_that_were_not_asked_for() {
        let mut profiles = asking(false);
        add(&mut profiles).expect("nothing to read");
        assert_eq!(profiles.len(), 1);
    }
}
