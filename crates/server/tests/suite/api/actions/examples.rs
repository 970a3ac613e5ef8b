use serde_json::Value;

use crate::api::world::{EXPIRATION, World};

/// Every supported action's file opens with an example request, which works as it stands there; of
/// its example answer every member comes, and no other.
#[tokio::test]
async fn examples_in_the_documentation_work() {
    let world = World::start().await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/actions");
    let mut subs_id = String::new();
    for file in [
        "bind_axn",
        "query_subscription_detail",
        "update_subscription",
        "query_subs_id",
        "unbind_subscription",
        "lock_secret_no",
        "unlock_secret_no",
        "query_secret_no_detail",
        "query_secret_no_remain",
        "bind_axb",
    ] {
        let text = std::fs::read_to_string(folder.join(format!("{file}.rs"))).unwrap();
        let line = |start: &str| {
            let found = text
                .lines()
                .find_map(|line| line.strip_prefix("//! ")?.strip_prefix(start));
            found
                .unwrap_or_else(|| panic!("{file} has no example"))
                .to_owned()
        };
        let query = line("POST /?")
            .replace("{SubsId}", &subs_id)
            .replace("{SecretNo}", "17000000000");
        let bounds = maskline_server::api::params::Bounds::default();
        let parameters =
            maskline_server::api::params::Parameters::parse(query.as_bytes(), b"", &bounds)
                .unwrap();
        let pairs: Vec<_> = parameters
            .iter()
            .map(|p| (p.name.as_str(), p.value.as_str()))
            .collect();
        let (action, business) = pairs.split_first().unwrap();
        let mut business = business.to_vec();
        for pair in &mut business {
            // The years of the examples pass.
            if pair.0 == "Expiration" {
                pair.1 = EXPIRATION;
            }
        }
        let answer = world.ask(action.1, &business).await;
        assert_eq!(answer.code(), "OK", "{file}: {answer:?}");
        let example: Value = serde_json::from_str(&format!("{{{}", line("{"))).unwrap();
        assert_eq!(members(&answer.json()), members(&example), "{file}");
        if file == "bind_axn" {
            subs_id = answer.json()["SecretBindDTO"]["SubsId"]
                .as_str()
                .unwrap()
                .to_owned();
        }
    }
}

/// The names of all members, without what lists hold.
fn members(value: &Value) -> Vec<String> {
    let Value::Object(object) = value else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for (name, value) in object {
        names.push(name.clone());
        names.extend(
            members(value)
                .into_iter()
                .map(|inner| format!("{name}.{inner}")),
        );
    }
    names.sort();
    names
}
